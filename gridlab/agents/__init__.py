"""The parts that act: the trader that drives grids against a venue, and who watches over it."""
