"""What several folders of tests share: servers by script, peers without a network, clients."""
