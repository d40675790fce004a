"""What a data set holds, checked before it is used."""
