"""One ASGI gate in front of everything the server offers, WebSockets included."""

from modules.web.gate.gate import Gate, GateConfig

__all__ = ["Gate", "GateConfig"]
