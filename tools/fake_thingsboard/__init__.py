"""A ThingsBoard to test with: a pure model of it, served over real UDP by aiocoap."""
