"""The audit: what leaks from what is uploaded, and from what a server makes of it, measured by attacks."""
