"""What the local models are asked to do, one task a module.

Each task takes facts, asks for an answer under a schema, has every figure in it checked against the
facts, and says who wrote the result: a model, or the template that answers when no model can.
"""
