"""What a careful reader of results has to know of a data set."""
