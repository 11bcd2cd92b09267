"""What a server holds, each turned into what an attacker compares: pictures, bundles, renderings, shapes."""
