"""What figures share: style, curves, statistics, viewer."""
