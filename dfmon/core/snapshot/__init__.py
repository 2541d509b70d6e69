"""Assembly of the `FlowSnapshot` from what a tick has computed."""
