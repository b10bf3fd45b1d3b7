"""The web server: login, request filtering, and the APIs for programs."""
