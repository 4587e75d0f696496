"""A ThingsBoard to test with: a pure model of it, behind a message layer as Californium's."""
