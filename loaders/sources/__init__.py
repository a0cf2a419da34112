"""Read FER2013, other published sets and custom data sets in any layout."""
