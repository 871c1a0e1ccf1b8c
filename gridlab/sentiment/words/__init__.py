"""Data files about words: the bilingual lexicon and the terms that make a text one about crypto."""
