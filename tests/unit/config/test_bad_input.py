"""Every mistake that we thought of, and the whole answer to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Complain = Callable[[dict[str, str | bytes]], list[str]]

TOP = """\
authority: letsencrypt
solvers: {web: {type: webroot, path: /srv}}
"""
MASTER = """\
authority: letsencrypt
solvers: {web: {type: webroot, path: /srv}}
master:
  authorize:
"""
FOLLOWER = """\
authority: letsencrypt
certificates:
"""

MISTAKES = [
    # the top level
    (
        "authority: letsencrypt\n",
        [("config.yaml: nothing to do: neither `master` nor `certificates`"
         " (list names under `master.authorize`, or certificates under `certificates` (`{}`: none any more))")],
    ),
    (
        "authority: letsencrypt\ncertificates: []\n",
        ["config.yaml:2: `certificates`: expected a mapping, found a list"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\nfollower: {grace: 0s}\n",
        ["config.yaml:4: `follower.grace`: must be at least 1s"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\nfollower: {grace: 0.5s}\n",
        ["config.yaml:4: `follower.grace`: must be at least 1s"],
    ),
    (
        FOLLOWER.replace("authority: letsencrypt\n", "") + "  www: {names: [a.example.com]}\n",
        ["config.yaml: the key `authority` is missing"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\nmastr: 1\n",
        ["config.yaml:4: `mastr`: unknown key `mastr` (did you mean `master`?)"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\nzzzz: 1\n",
        [("config.yaml:4: `zzzz`: unknown key `zzzz` (known here: `authority`, `profile`, `contact`, `state_directory`,"
         " `accounts`, `solvers`, `master`, `certificates`, `follower`,"
         " `onchange`, `onchange_timeout`)")],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\nmaster:\nsolvers:\ncontact: a@example.com\nstate_directory: [a]\n",
        ["config.yaml:4: `master`: expected a mapping, found nothing (give it a value, or remove the key)",
         "config.yaml:5: `solvers`: expected a mapping, found nothing (give it a value, or remove the key)",
         "config.yaml:6: `contact`: expected a list, found a text (write it as `[...]`, also for a single one)",
         "config.yaml:7: `state_directory`: expected a path, found a list"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\nstate_directory: ~nobody-has-this-name/x\n",
        ["config.yaml:4: `state_directory`: not a path: there is no home directory of that user"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\ncontact: [hostmaster, a@b c.d, no, a@localhost]\n",
        ["config.yaml:4: `contact[0]`: not an e-mail address, such as `hostmaster@example.com`",
         ("config.yaml:4: `contact[1]`: not an e-mail address: `b c.d` is no host name: the label `b c`"
         " has characters other than letters, digits and hyphens"),
         "config.yaml:4: `contact[2]`: expected an e-mail address, found a truth value",
         ("config.yaml:4: `contact[3]`: not an e-mail address: `localhost` has only one label"
         " (write the full name, such as `mail.example.com`)")],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\naccounts: {Office: {}, b: {key: 1}}\n",
        [("config.yaml:3: `certificates.www`: there are several accounts, and none is called `default`"
         " (say which: `account: Office`)"),
         ("config.yaml:4: `accounts.Office`: not the name of an account: use lower-case letters, digits, `.`, `_` and `-`,"
         " a letter or digit first, at most 64"),
         "config.yaml:4: `accounts.b.key`: unknown key `key` (known here: `eab`)"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\naccounts: {default: {eab: {kid: 5, hmac_key_file: hmac}}}\n",
        ["config.yaml:4: `accounts.default.eab.kid`: expected a text, found a number (write it in quotes)"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\naccounts: {default: {eab: {hmac_key_file: hmac}}}\n",
        [("config.yaml:4: `accounts.default.eab`: give either `kid` (the key identifier) or `kid_file` (a file that holds"
         " it)")],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\naccounts: {default: {eab: {kid: a, kid_file: b}}}\n",
        ["config.yaml:4: `accounts.default.eab`: the key `hmac_key_file` is missing"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\n"
        "accounts: {default: {eab: {kid: a, hmac_key_file: zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W}}}\n",
        [("config.yaml:4: `accounts.default.eab.hmac_key_file`: there is no file of that name"
         " (if this is the key itself, write it to a file of mode 0600, and name that file here)")],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com]}\naccounts: {}\n",
        ["config.yaml:4: `accounts`: must not be empty"],
    ),
    # authority
    (
        FOLLOWER.replace("letsencrypt", "letsencryt") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority`: no authority is known by that name (did you mean `letsencrypt`?)"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "example") + "  www: {names: [a.example.com]}\n",
        [("config.yaml:1: `authority`: no authority is known by that name (known are `actalis`, `google`, `google-test`,"
         " `letsencrypt`, `letsencrypt-staging`, `sslcom`, `sslcom-rsa`, `zerossl`; for another, `{directory: URL}`)")],
    ),
    (
        FOLLOWER.replace("letsencrypt", "[letsencrypt]") + "  www: {names: [a.example.com]}\n",
        [("config.yaml:1: `authority`: expected a text or a mapping, found a list"
         " (such as `letsencrypt`, or `{directory: https://...}`)")],
    ),
    (
        FOLLOWER.replace("letsencrypt", "{directory: 'http://ca.example.com/'}") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority.directory`: not an `https://` URL: `http://` is for a CA on this host's loopback only"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "'http://10.0.0.1/'") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority`: not an `https://` URL: `http://` is for a CA on this host's loopback only"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "https://me:secret@ca.example.com/") + "  www: {names: [a.example.com]}\n",
        [("config.yaml:1: `authority`: a URL with a user name or password: a directory needs none, and this file is no"
         " place for one")],
    ),
    (
        FOLLOWER.replace("letsencrypt", "{directory: ca.example.com}") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority.directory`: not a URL, such as `https://acme.example.com/directory`"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "'https://[::1'") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority`: not a URL"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "'https://ca.example.com:99999/'") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority`: not a URL"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "{}") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority`: give either `name` (of a known authority) or `directory` (a URL)"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "{name: google, ca_bundle: none.pem}") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority.ca_bundle`: cannot read the CA bundle `none.pem`: no such file or directory"],
    ),
    (
        FOLLOWER.replace("letsencrypt", "{name: google, ca_bundle: config.yaml}") + "  www: {names: [a.example.com]}\n",
        [("config.yaml:1: `authority.ca_bundle`: no certificate in `config.yaml`"
         " (it must be PEM: `-----BEGIN CERTIFICATE-----`)")],
    ),
    (
        FOLLOWER.replace("letsencrypt", "{name: google, ca_bundle: /}") + "  www: {names: [a.example.com]}\n",
        ["config.yaml:1: `authority.ca_bundle`: the CA bundle `/` is no regular file"],
    ),
    (
        FOLLOWER + f"  www: {{names: [\"{'x' * 1000}\\n\\e[31m.example.com\"]}}\n",
        [f"config.yaml:3: `certificates.www.names[0]`: `{'x' * 599}..."],
    ),
    (
        FOLLOWER + '  "w\\nw`w": {names: ["a\\n\\e[31m.example.com"]}\n',
        [('config.yaml:3: `certificates."w?w?w"`: not a label of a certificate: use letters, digits, `.`, `_` and `-`,'
          " a letter or digit first, at most 64"),
         ('config.yaml:3: `certificates."w?w?w".names[0]`: `a??[31m.example.com` is no host name: the label `a??[31m`'
          " has characters other than letters, digits and hyphens")],
    ),
    # profile
    (
        "profile: clasic\n" + FOLLOWER + "  www: {names: [a.example.com], profile: tls-server}\n",
        ["config.yaml:1: `profile`: there is no profile `clasic` at Let's Encrypt (did you mean `classic`?)",
         ("config.yaml:4: `certificates.www.profile`: there is no profile `tls-server` at Let's Encrypt"
         " (did you mean `tlsserver`?)")],
    ),
    (
        "profile: a b\n" + FOLLOWER + "  www: {names: [a.example.com], profile: 5}\n",
        ["config.yaml:1: `profile`: not the name of a profile: it has neither spaces nor letters beyond ASCII",
         "config.yaml:4: `certificates.www.profile`: expected a text, found a number (write it in quotes)"],
    ),
    # solvers
    (
        MASTER + "    - {names: [a.example.com], solver: web}\n".replace("web", "wbe"),
        ["config.yaml:5: `master.authorize[0].solver`: there is no solver `wbe` (did you mean `web`?)"],
    ),
    (
        MASTER.replace("type: webroot, ", "") + "    - {names: [a.example.com], solver: web}\n",
        ["config.yaml:2: `solvers.web`: the key `type` is missing"],
    ),
    (
        MASTER.replace("webroot", "5") + "    - {names: [a.example.com], solver: web}\n",
        ["config.yaml:2: `solvers.web.type`: expected a text, found a number (write it in quotes)"],
    ),
    (
        MASTER.replace("web:", "we b:") + "    - {names: [a.example.com], solver: we b}\n",
        [('config.yaml:2: `solvers."we b"`: not the name of a solver: use letters, digits, `.`, `_` and `-`,'
         " a letter or digit first, at most 64")],
    ),
    # master
    (
        TOP + "master: {authorize: []}\n",
        ["config.yaml:3: `master.authorize`: must not be empty"],
    ),
    (
        TOP + "master: {}\n",
        ["config.yaml:3: `master`: give `authorize` (names to keep authorized), or `records` (to keep published)"],
    ),
    (
        TOP + "master: [a.example.com]\n",
        ["config.yaml:3: `master`: expected a mapping, found a list"],
    ),
    (
        MASTER + "    - {names: [a.example.com]}\n    - {solver: web}\n    - {names: [], solver: web}\n    - a.example.com\n",
        ["config.yaml:5: `master.authorize[0]`: the key `solver` is missing",
         "config.yaml:6: `master.authorize[1]`: give `names` or `names_file`",
         "config.yaml:7: `master.authorize[2].names`: must not be empty",
         "config.yaml:8: `master.authorize[3]`: expected a mapping, found a text"],
    ),
    (
        MASTER + "    - {names: [a.example.com], solver: web, solver_s: web, account: ofice}\naccounts: {office: {}}\n",
        ["config.yaml:5: `master.authorize[0].solver_s`: unknown key `solver_s` (did you mean `solver`?)",
         "config.yaml:5: `master.authorize[0].account`: there is no account `ofice` (did you mean `office`?)"],
    ),
    (
        MASTER + "    - {names: [a.example.com], solver: web}\n  every: daily\n  workers: 65\n",
        ["config.yaml:6: `master.every`: not a duration: write a number and a unit, such as `90s`, `15m`, `12h` or `30d`",
         "config.yaml:7: `master.workers`: must be at most 64"],
    ),
    (
        MASTER + "    - {names: [a.example.com], solver: web}\n  every: 59s\n  workers: '8'\n",
        ["config.yaml:6: `master.every`: must be at least 1m",
         "config.yaml:7: `master.workers`: expected a whole number, found a text (write it without quotes)"],
    ),
    (
        MASTER + "    - {names: [a.example.com], solver: web}\n  every: 12\n  workers: 1.5\n",
        ["config.yaml:6: `master.every`: not a duration: write a number and a unit, such as `90s`, `15m`, `12h` or `30d`",
         "config.yaml:7: `master.workers`: expected a whole number, found a number"],
    ),
    # names
    (
        MASTER + "    - names: [a..example.com, '*.*.example.com', 192.0.2.256, localhost, -a.example.com, 5, no, [a]]\n"
        "      solver: web\n",
        ["config.yaml:5: `master.authorize[0].names[0]`: `a..example.com` is no host name: the label `` is empty",
         ("config.yaml:5: `master.authorize[0].names[1]`: `*.*.example.com` has a `*` in the wrong place"
         " (only `*.` at the start, for one whole label)"),
         "config.yaml:5: `master.authorize[0].names[2]`: `192.0.2.256` is neither a host name nor an IP address",
         ("config.yaml:5: `master.authorize[0].names[3]`: `localhost` has only one label"
         " (write the full name, such as `mail.example.com`)"),
         ("config.yaml:5: `master.authorize[0].names[4]`: `-a.example.com` is no host name: the label `-a`"
         " starts or ends with a hyphen"),
         "config.yaml:5: `master.authorize[0].names[5]`: expected a name, found a number (write it in quotes)",
         "config.yaml:5: `master.authorize[0].names[6]`: expected a name, found a truth value (write it in quotes)",
         "config.yaml:5: `master.authorize[0].names[7]`: expected a name, found a list"],
    ),
    (
        ("authority: letsencrypt\nprofile: tlsserver\ncontact: [a@192.0.2.1]\nsolvers: {web: {type: webroot, path: /}}\n"
         "master:\n  authorize:\n    - {names: [a.example.com, '2001:DB8::1'], solver: web}\n"
         "certificates:\n  a: {names: [192.0.2.1], profile: classic}\n  b: {names: [192.0.2.1], profile: shortlived}\n"),
        ["config.yaml:3: `contact[0]`: not an e-mail address: `192.0.2.1` is an address of a host, not a name",
         ("config.yaml:7: `master.authorize[0].names[1]`: `2001:db8::1` is an address:"
         " Let's Encrypt certifies them under one profile only (set `profile: shortlived`)"),
         ("config.yaml:9: `certificates.a.names[0]`: `192.0.2.1` is an address:"
         " Let's Encrypt certifies them under one profile only (set `profile: shortlived`)")],
    ),
    (
        MASTER + "    - names:\n      - a.example.com\n      - A.EXAMPLE.COM.\n      solver: web\n"
        "    - {names: [a.example.com], solver: web}\n",
        [("config.yaml:7: `master.authorize[0].names[1]`: `a.example.com` is listed twice for the account `default`,"
         " first at config.yaml:6"),
         ("config.yaml:9: `master.authorize[1].names[0]`: `a.example.com` is listed twice for the account `default`,"
         " first at config.yaml:6")],
    ),
    (
        MASTER + "    - {names_file: ~nobody-has-this-name/x, solver: web}\n",
        ["config.yaml:5: `master.authorize[0].names_file`: not a path: there is no home directory of that user"],
    ),
    # certificates
    (
        FOLLOWER + "  mail: {names: [mail.example.com], key: ecdsa-p25}\n  a b: {names: [b.example.com]}\n"
        "  current: {names: [c.example.com]}\n  ../x: {names: [d.example.com]}\n",
        [("config.yaml:3: `certificates.mail.key`: expected one of `ecdsa-p256`, `ecdsa-p384`, `rsa-2048`, `rsa-3072`,"
         " `rsa-4096` (did you mean `ecdsa-p256`?)"),
         ('config.yaml:4: `certificates."a b"`: not a label of a certificate: use letters, digits, `.`, `_` and `-`,'
         " a letter or digit first, at most 64"),
         ("config.yaml:5: `certificates.current`: not a label of a certificate: `current` is what the link to a"
         " generation is called"),
         ('config.yaml:6: `certificates."../x"`: not a label of a certificate: use letters, digits, `.`, `_` and `-`,'
         " a letter or digit first, at most 64")],
    ),
    (
        FOLLOWER + "  a: {names: [a.example.com], key: [ecdsa-p256, ecdsa-p384]}\n  b: {names: [b.example.com], key: []}\n"
        "  c: {names: [c.example.com], key: [rsa-2048, rsa]}\n  d: {names: [d.example.com], key: 2048}\n",
        [("config.yaml:3: `certificates.a.key`: two types of one family: a server uses one certificate of each"
          " (list one ECDSA and one RSA type, such as `[ecdsa-p256, rsa-2048]`)"),
         "config.yaml:4: `certificates.b.key`: must not be empty",
         ("config.yaml:5: `certificates.c.key`: expected one of `ecdsa-p256`, `ecdsa-p384`, `rsa-2048`, `rsa-3072`,"
          " `rsa-4096`"),
         ("config.yaml:6: `certificates.d.key`: expected one of `ecdsa-p256`, `ecdsa-p384`, `rsa-2048`, `rsa-3072`,"
          " `rsa-4096`")],
    ),
    (
        FOLLOWER + "  a: {names: [a.example.com], key_file: a.key, csr_file: a.csr}\n"
        "  b: {names: [b.example.com], key_file: b.key, key: rsa-2048}\n"
        "  c: {names: [c.example.com], csr_file: c.csr, reuse_key: false, prepare_key: true}\n",
        ["config.yaml:3: `certificates.a`: give either `key_file` (your key) or `csr_file` (your CSR), not both",
         ("config.yaml:4: `certificates.b`: `key` would be about keys that acmectl makes, and the key is the one of"
          " `key_file`"),
         ("config.yaml:5: `certificates.c`: `prepare_key`, `reuse_key` would be about keys that acmectl makes, and the"
          " key is the one of `csr_file`")],
    ),
    (
        FOLLOWER + "  a:\n  b: []\n  c: {}\n  d: {names: []}\n  e: {names: d.example.com}\n  f: {names: }\n",
        ["config.yaml:3: `certificates.a`: expected a mapping, found nothing (give it a value, or remove the key)",
         "config.yaml:4: `certificates.b`: expected a mapping, found a list",
         "config.yaml:5: `certificates.c`: the key `names` is missing",
         "config.yaml:6: `certificates.d.names`: must not be empty",
         ("config.yaml:7: `certificates.e.names`: expected a list, found a text"
         " (write it as `[...]`, also for a single one)"),
         "config.yaml:8: `certificates.f.names`: expected a list, found nothing (give it a value, or remove the key)"],
    ),
    (
        FOLLOWER + f"  big: {{names: [{', '.join(f'n{number}.example.com' for number in range(101))}]}}\n",
        ["config.yaml:3: `certificates.big.names`: must have at most 100 entries, and has 101"],
    ),
    (
        FOLLOWER + "  www:\n    names:\n    - www.example.com\n    - '*.example.com'\n    - example.com\n    - example.com\n",
        [("config.yaml:5: `certificates.www.names[0]`: `www.example.com` is covered by `*.example.com` already:"
         " CAs refuse both in one certificate (remove it from the list)"),
         ("config.yaml:8: `certificates.www.names[3]`: `example.com` is listed twice in this certificate,"
         " first at config.yaml:7")],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com], names_file: x.txt, account: other}\n",
        ["config.yaml:3: `certificates.www.names_file`: unknown key `names_file` (did you mean `names`?)",
         "config.yaml:3: `certificates.www.account`: there is no account `other` (define it under `accounts`)"],
    ),
    (
        FOLLOWER + "  mail.example.com: {names: [a.example.com], deploy: [{directory: /x}, {type: ''}, files, {typ: x}]}\n",
        ['config.yaml:3: `certificates."mail.example.com".deploy[0]`: the key `type` is missing',
         'config.yaml:3: `certificates."mail.example.com".deploy[1].type`: must not be empty',
         ('config.yaml:3: `certificates."mail.example.com".deploy[2]`: expected a mapping, found a text'
          ' (the type and its options: `{type: TYPE, ...}`)'),
         'config.yaml:3: `certificates."mail.example.com".deploy[3]`: the key `type` is missing (write it in place of `typ`)'],
    ),
    # follower
    (
        FOLLOWER + "  www: {names: [a.example.com]}\nfollower: {grace: soon, alarm_at: 1, keep_generations: 1}\n",
        ["config.yaml:4: `follower.grace`: not a duration: write a number and a unit, such as `90s`, `15m`, `12h` or `30d`",
         "config.yaml:4: `follower.alarm_at`: must be less than 1",
         "config.yaml:4: `follower.keep_generations`: must be at least 2"],
    ),
    # YAML
    (
        FOLLOWER + "  www: {names: [a.example.com]}\n  www: {names: [b.example.com]}\nauthority: google\n",
        [("config.yaml:4: `certificates.www`: defined twice, first at config.yaml:3"
          " (write a certificate in one place, and list the targets of all its services under its `deploy`)"),
         "config.yaml:5: `authority`: defined twice, first at config.yaml:1"],
    ),
    (
        FOLLOWER + "  www: {names: [a.example.com], deploy: [{type: files, mode: 0640, at: 12:30:00, on: 2027-02-10}]}\n",
        [("config.yaml:3: `certificates.www.deploy[0].mode`: read as an octal number by YAML, because it starts with 0"
         " (write it in quotes)"),
         ("config.yaml:3: `certificates.www.deploy[0].at`: read as a number to the base 60 by YAML, because of its colons"
         " (write it in quotes)"),
         "config.yaml:3: `certificates.www.deploy[0]`: the key `on` is no text for YAML (write it in quotes)",
         "config.yaml:3: `certificates.www.deploy[0].on`: read as a date by YAML (write it in quotes)"],
    ),
    (
        FOLLOWER + "  www: {names: [12:30:00, 0x10], profile: no, key: 1_000}\n",
        [("config.yaml:3: `certificates.www.names[0]`: read as a number to the base 60 by YAML, because of its colons"
         " (write it in quotes)"),
         ("config.yaml:3: `certificates.www.names[1]`: read as a number by YAML, in a form that is not used here"
         " (write a plain decimal one, or quotes around it)"),
         ("config.yaml:3: `certificates.www.key`: read as a number by YAML, in a form that is not used here"
         " (write a plain decimal one, or quotes around it)"),
         ("config.yaml:3: `certificates.www.profile`: expected a text, found a truth value"
         " (YAML reads bare `yes`, `no`, `on` and `off` as truth values: write it in quotes)")],
    ),
    (
        FOLLOWER + "  2027: {names: [a.example.com]}\n  www: !!python/object:os.system {names: [!x b.example.com]}\n",
        ["config.yaml:3: `certificates`: the key `2027` is no text for YAML (write it in quotes)",
         "config.yaml:4: `certificates.www`: tags are not used here (remove the word that starts with `!`)",
         "config.yaml:4: `certificates.www.names[0]`: tags are not used here (remove the word that starts with `!`)"],
    ),
    (
        FOLLOWER + "  www: {<<: [], names: [a.example.com], <<: 5}\n",
        ["config.yaml:3: `certificates.www`: `<<` merges mappings only, such as `<<: *name`"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_answered_in_these_words(
    complaints: Complain, tmp_path: object, text: str, expected: list[str]
) -> None:
    assert [line.replace(f"{tmp_path}/", "") for line in complaints({"config.yaml": text})] == expected


UNUSABLE = [
    (b"", ["config.yaml: the file is empty (fill it, or remove it)"]),
    (b"# nothing but words\n---\n", ["config.yaml: the file is empty (fill it, or remove it)"]),
    (b"- a\n- b\n", ["config.yaml:1: expected a mapping of keys such as `authority:`, found a list"]),
    (b"\nhello\n", ["config.yaml:2: expected a mapping of keys such as `authority:`, found a single value"]),
    (
        b"authority: letsencrypt\nmaster:\n\tevery: 1d\n",
        [("config.yaml:3: a tab: YAML indents with spaces only"
         " (replace it: `expand -t 2 FILE` prints the file without tabs)")],
    ),
    (
        b"authority: letsencrypt\nmaster: {\n",
        ["config.yaml:3: not YAML: did not find expected node content (while parsing a flow node from line 3)"],
    ),
    (b"a: [1, 2\nb: 3\n", ["config.yaml:2: not YAML: did not find expected ',' or ']' (while parsing a flow sequence from line 1)"]),
    (b"a: 'b\n", ["config.yaml:2: not YAML: found unexpected end of stream (while scanning a quoted scalar from line 1)"]),
    (b"a: b: c\n", ["config.yaml:1: not YAML: mapping values are not allowed in this context"]),
    (b"a: 1\n---\nb: 2\n", ["config.yaml:2: a second document starts here: a file holds one (remove the `---` between them)"]),
    (b"a: 1\nb: \x00\x01\x02\n", ["config.yaml:2: binary: the character U+0000 is no text"]),
    (b"\x7fELF\x02\x01\x01", ["config.yaml:1: binary: the character U+007F is no text"]),
    (b"a: 1\nb: caf\xe9\n", ["config.yaml:2: not UTF-8 text (save the file as UTF-8)"]),
    ("a: 1\n".encode("utf-16"), ["config.yaml:1: the file is UTF-16 (save it as UTF-8: `iconv -f utf-16 -t utf-8 config.yaml`)"]),
    (b"a: 1\n" * (5 * 1024 * 1024 // 5), ["config.yaml: larger than 1 MB"]),
    (b"a: *b\n", ["config.yaml:1: `a`: the alias `*b` refers to nothing above it"]),
    (b"a: &b [*b]\n", ["config.yaml:1: `a[0]`: the alias `*b` stands inside of what it refers to"]),
    (b"[a]: 1\n", [("config.yaml:1: a key is a text, neither a list nor a mapping nor an alias"
                   " (text that starts with `{`, `[` or `*` needs quotes)")]),
    (b"a: " + b"[" * 100 + b"]" * 100, ["config.yaml:1: nested deeper than 32 levels"]),
    (b"[" * 1000000, ["config.yaml:1: nested deeper than 32 levels"]),
    (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 20)),
        ["config.yaml:5: aliases add more than 100000 values"],
    ),
    (
        b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [[[[[[[[*a%d]]]]]]]]\n" % (n, n, n - 1) for n in range(1, 100)),
        ["config.yaml:5: nested deeper than 32 levels"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), UNUSABLE, ids=range(len(UNUSABLE)))
def test_an_unusable_file_has_one_problem(complaints: Complain, content: bytes, expected: list[str]) -> None:
    assert complaints({"config.yaml": content}) == expected


@pytest.mark.parametrize(("content", "expected"), UNUSABLE, ids=range(len(UNUSABLE)))
def test_an_unusable_file_of_conf_d_hides_nothing(complaints: Complain, content: bytes, expected: list[str]) -> None:
    """Nor does it make more problems: what the main file lacks may be in the other one."""
    main = "solvers: {web: {type: webroot}}\nmaster: {authorize: [{names: [a.b], solver: other}, {}]}\nwhat: 1\n"
    assert complaints({"config.yaml": main, "conf.d/x.yaml": content}) == [
        "config.yaml:2: `master.authorize[1]`: the key `solver` is missing",
        (
            "config.yaml:3: `what`: unknown key `what` (known here: `authority`, `profile`, `contact`, `state_directory`,"
            " `accounts`, `solvers`, `master`, `certificates`, `follower`,"
            " `onchange`, `onchange_timeout`)"
        ),
        *(line.replace("config.yaml", "conf.d/x.yaml") for line in expected),
    ]
