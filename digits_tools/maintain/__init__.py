"""Keep what is stored up to date: outputs, the shipped network, links between the lessons."""
