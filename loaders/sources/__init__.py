"""Every layout in which FER2013, or a data set of one's own, is found."""
