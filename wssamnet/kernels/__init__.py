"""The fast numeric cores, free of torch: arrays in, arrays out."""
