"""What the score of an observation rests on in an image: map, regions and overlay."""
