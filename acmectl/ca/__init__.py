"""How we speak ACME (RFC 8555): the only room that imports `acme` and `josepy`.

    session     one directory and one account key: the requests that all others send
    accounts    register, find, fetch
    orders      new orders, authorizations, waiting; deactivation
    proving     key authorizations and answers to challenges: the master's side, a follower never imports it
    issuing     finalization and download: the follower's side, a master never imports it
    renewal_info    when the CA suggests to renew a certificate (ARI, RFC 9773)
    revocation      by the account, or by the certificate's own key
    directory, reading, fields, problems        what a CA answers, as values and errors of ours
    network, transport, broken, nonces, patience, purpose, unsure     how a request gets there and back
    account_key, messages                       what is signed, and with what

Two rules hold for every module. What a CA, a proxy or a broken line answers becomes an error of `acmectl.errors`; nothing
of `acme`, `josepy` or `requests` leaves the room. And those libraries take 400 ms to import: only `network`, `messages`
and `account_key` name them at their top, and those three are imported when the first request is made.
"""
