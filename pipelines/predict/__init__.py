"""What a finished trial's network says of pictures that a person gives it."""
