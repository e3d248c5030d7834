"""The pages' contents as plain values: what the templates show and ``/api/`` answers, one document per page."""
