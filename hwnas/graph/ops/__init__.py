"""Operations, one a file."""
