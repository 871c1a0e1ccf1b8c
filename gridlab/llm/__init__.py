"""Local language models: the client of Ollama, the facts they may speak of, and their tasks.

Knows nothing of grids, orders or exchanges; what a task may say is handed in as facts, and what a
model answers is checked against them. A model's text never moves an order.
"""
