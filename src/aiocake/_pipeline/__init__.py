"""The life of a call: the only place where codec and transport meet."""
