"""The views of `/auth/v1`, one file a capability; each turns a request into one call of `identity` and back."""
