"""The snippets of `examples/` in real web servers, as they stand there: on ports 80 and 443 of a network that has loopback only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.own_network import run_in_own_network

EXAMPLES = Path(__file__).parents[2] / "examples"

PRELUDE = """
import http.client, subprocess, sys, time
from pathlib import Path
from tests.integration.hosts import await_true
from tests.integration.test_solvers_standalone import is_listening, make as make_standalone
from tests.integration.test_solvers_tls_alpn import fault, make as make_tls_alpn, response as tls_response
from tests.integration.test_solvers_webroot import make as make_webroot, response
directory, example = map(Path, sys.argv[1:3])
ours = [response(), response("192.0.2.1", "other"), response("2001:db8::1", "third")]

def status(path, port=80):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    try:
        return connection.getresponse().status
    finally:
        connection.close()

def tried(solver, ours):
    print("published", solver.publish(ours))
    print("seen", {r.identifier.value: e.message for r, e in solver.seen(ours).items()})
    print("removed", solver.remove(ours))

def served(argv, ports):
    process = subprocess.Popen(argv)
    for port in ports:
        await_true(lambda: is_listening(port) or process.poll() is not None, what=f"port {port}")
    assert process.poll() is None, "the web server has ended"
    return process
"""

NGINX = (
    PRELUDE
    + """
def nginx(http, stream=""):
    file = directory / "nginx.conf"
    paths = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file.write_text(f'''
user root; pid {directory}/pid; error_log {directory}/error.log;
{stream}
events {{}}
http {{ access_log off; {paths} {http} }}
''')
    return served(["nginx", "-e", str(directory / "error.log"), "-c", str(file), "-p", str(directory), "-g", "daemon off;"], [80])
"""
)

SITE = """
site = "listen 80; location / { return 301 https://$host$request_uri; } location ~ /[.] { deny all; }"
"""

WEBROOT = (
    NGINX
    + SITE
    + """
root = directory / "www"
root.mkdir()
text = example.read_text().replace("/var/www/acme", str(root))
(directory / "snippet.conf").write_text(text)
server = nginx(f"server {{ {site} include {directory}/snippet.conf; }}")
tried(make_webroot(root, check_address="127.0.0.1"), ours)
print(status("/.well-known/acme-challenge/none"), status("/"), status("/.git"), *root.iterdir())
server.terminate(); server.wait()
"""
)

STANDALONE = (
    NGINX
    + SITE
    + """
server = nginx(f"server {{ {site} include {example}; }}")
tried(make_standalone("127.0.0.1:8402", check_address="127.0.0.1"), ours)
print(status("/.well-known/acme-challenge/none"), status("/"))
server.terminate(); server.wait()
"""
)

TLS_ALPN = (
    NGINX
    + """
import ssl, socket
module = next(Path("/usr").glob("lib*/nginx/modules/ngx_stream_module.so"))
pair = directory / "web.crt", directory / "web.key"
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                "/CN=web", "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
web = f"ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]}; location / {{ return 200; }}"
server = nginx(f"server {{ listen 80; listen 127.0.0.1:8443 ssl; {web} }}", f"load_module {module}; include {example};")
ours = [tls_response(), tls_response("192.0.2.1"), tls_response("2001:db8::1")]
solver = make_tls_alpn("127.0.0.1:8402", check_address="127.0.0.1")
print(solver.publish(ours), solver.seen(ours))
print([fault(one, 443, address) for one in ours for address in ("127.0.0.1", "::1")])
connection = http.client.HTTPSConnection("127.0.0.1", context=ssl._create_unverified_context(), timeout=5)
connection.request("GET", "/")
print("others get", connection.getresponse().status)
connection.close()
print(solver.remove(ours))
server.terminate(); server.wait()
"""
)

GOOD = ["published {}", "seen {}", "removed {}"]


def test_nginx_serves_the_document_root_of_acmectl_and_nothing_else(tmp_path: Path) -> None:
    said = run_in_own_network(WEBROOT, str(tmp_path), str(EXAMPLES / "nginx/webroot.conf"))
    assert said == [*GOOD, "404 301 403"]


def test_nginx_passes_challenges_to_the_server_of_acmectl(tmp_path: Path) -> None:
    said = run_in_own_network(STANDALONE, str(tmp_path), str(EXAMPLES / "nginx/standalone.conf"))
    assert said == [*GOOD, "404 301"]


def test_nginx_passes_tls_alpn_01_on_and_serves_everybody_else(tmp_path: Path) -> None:
    said = run_in_own_network(TLS_ALPN, str(tmp_path), str(EXAMPLES / "nginx/tls-alpn.conf"))
    assert said == ["{} {}", "['', '', '', '', '', '']", "others get 200", "{}"]


APACHE = (
    PRELUDE
    + """
modules = Path("/usr/lib/apache2/modules")
root = directory / "www"
root.mkdir()
text = example.read_text().replace("/var/www/acme", str(root))
(directory / "snippet.conf").write_text(text)
wanted = ["mpm_event", "authz_core", "alias", "mime", "proxy", "proxy_http"]
loads = "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\\n" for name in wanted)
(directory / "apache.conf").write_text(f'''
ServerRoot {directory}
ServerName localhost
PidFile {directory}/pid
ErrorLog {directory}/error.log
Listen 80
{loads}
TypesConfig /dev/null
<Directory />
    Require all denied
</Directory>
Include {directory}/snippet.conf
''')
Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")  # of this network alone
as_nobody = ["unshare", "--user", "--map-user=65534"]  # Apache refuses to serve as root
server = served([*as_nobody, "apache2", "-X", "-f", str(directory / "apache.conf")], [80])
if example.name == "webroot.conf":
    tried(make_webroot(root, check_address="127.0.0.1"), ours)
else:
    tried(make_standalone("127.0.0.1:8402", check_address="127.0.0.1"), ours)
print(status("/.well-known/acme-challenge/none"))
server.terminate(); server.wait()
"""
)


@pytest.mark.parametrize(("example", "otherwise"), [("webroot.conf", "403"), ("standalone.conf", "503")])
def test_apache_does_as_well(tmp_path: Path, example: str, otherwise: str) -> None:
    assert run_in_own_network(APACHE, str(tmp_path), str(EXAMPLES / "apache" / example)) == [*GOOD, otherwise]
