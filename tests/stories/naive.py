"""The master that everybody writes first: a newOrder every day, and prove what comes back pending."""

from __future__ import annotations

from collections import Counter

from tests.stories.world import World


class NaiveMaster:
    """At a sandbox that trusts. It knows no lifetimes, and never deactivates."""

    def __init__(self, world: World, *names: str) -> None:
        self._world = world
        self._names = names
        self.requests: Counter[str] = Counter()

    def run(self) -> None:
        client = self._world.client()
        order = client.new_order(*self._names, profile=self._world.profile)
        assert order.status == 201, order.body
        self.requests["newOrder"] += 1
        if order.json["status"] == "ready":
            return
        for url, document in client.authorizations(order).values():
            self.requests["authorization"] += 1
            if document["status"] != "pending":
                continue
            assert client.post(client.challenge(document, "http-01")["url"], {}).status == 200
            self._world.settle()
            self.requests["challenge"] += 1
            assert client.post(url).json["status"] == "valid"
            self.requests["authorization"] += 1
