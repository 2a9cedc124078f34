"""What Wharf is compared with, tuned as its own manual advises, one thread each.

Each function starts one server in a folder of its own and gives its process. `upstream` is a port of
127.0.0.1. No access log anywhere, keep-alive towards the upstream everywhere, buffers that fit bulk.
"""
import os
import pathlib
import subprocess

from . import places
from .processes import start_server

# Connections per process: 5,000 idle WebSockets are two each.
CONNECTIONS_MAX = 16_384


def certificate(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A certificate for localhost and its P-256 key, like Wharf's own."""
    pem, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [places.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-addext", "basicConstraints=critical,CA:FALSE", "-days", "30", "-keyout", key, "-out", pem],
        check=True, capture_output=True)
    return pem, key


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error warn;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; send_timeout 1h; tcp_nodelay on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ssl_protocols TLSv1.3; ssl_session_cache shared:tls:10m;
  upstream app {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 1h; }}
  proxy_http_version 1.1; proxy_read_timeout 1h; proxy_send_timeout 1h; proxy_socket_keepalive on;
  proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on;
  server {{
    listen 127.0.0.1:{port} backlog=4096 {listen_words};
    {server_words}
    location / {{
      {forwarded} proxy_set_header Connection '';
      proxy_pass {scheme}://app;
    }}
    location = /echo {{
      {forwarded} proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
      proxy_pass {scheme}://app;
    }}
    location /events/ {{
      {forwarded} proxy_set_header Connection ''; proxy_buffering off;
      proxy_pass {scheme}://app;
    }}
    location /down/ {{ {bulk} proxy_pass {scheme}://app; }}
    location = /up {{ {bulk} proxy_pass {scheme}://app; }}
  }}
}}
"""

# Written into each location, because one with a field of its own inherits none.
FORWARDED = ("proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;"
             " proxy_set_header X-Forwarded-Proto $scheme;")
BULK = (FORWARDED + " proxy_set_header Connection ''; proxy_buffer_size 256k; proxy_buffers 8 256k;"
        " proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0; proxy_request_buffering off;"
        " client_body_buffer_size 256k;"
        " client_max_body_size 0;")


def nginx(folder: pathlib.Path, port: int, upstream: int, *, tls: tuple[pathlib.Path, pathlib.Path] | None = None,
          upstream_tls: bool = False) -> subprocess.Popen:
    """nginx in front of `upstream`. `tls`: certificate and key, where clients speak TLS or HTTP/2 over it."""
    folder.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(
        folder=folder, port=port, upstream=upstream, connections=CONNECTIONS_MAX, forwarded=FORWARDED,
        bulk=BULK, scheme="https" if upstream_tls else "http", listen_words="ssl http2" if tls else "",
        server_words=f"ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]}; http2_max_requests 1000000000;"
        if tls else ""))
    return start_server([places.program("nginx"), "-c", folder / "nginx.conf"], port, folder / "output")


HAPROXY = """
global
  nbthread 1
  maxconn {connections}
defaults
  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend clients
  bind 127.0.0.1:{port} backlog 4096
  default_backend app
backend app
  server app 127.0.0.1:{upstream} pool-max-conn 1024 pool-purge-delay 1h
"""


def haproxy(folder: pathlib.Path, port: int, upstream: int) -> subprocess.Popen:
    folder.mkdir()
    # Two descriptors each, and the process may have as many as we.
    connections = min(CONNECTIONS_MAX, os.sysconf("SC_OPEN_MAX") // 2 - 100)
    (folder / "haproxy.cfg").write_text(HAPROXY.format(port=port, upstream=upstream, connections=connections))
    return start_server([places.program("haproxy"), "-db", "-f", folder / "haproxy.cfg"], port, folder / "output")


def http_proxy(folder: pathlib.Path, port: int, api_port: int, upstream: int) -> subprocess.Popen:
    """configurable-http-proxy: JupyterHub's, and the usual one for notebooks."""
    folder.mkdir()
    return start_server(
        [places.program("node"), places.HTTP_PROXY, "--ip", "127.0.0.1", "--port", port, "--api-ip", "127.0.0.1",
         "--api-port", api_port, "--default-target", f"http://127.0.0.1:{upstream}", "--log-level", "error"],
        port, folder / "output", {**os.environ, "CONFIGPROXY_AUTH_TOKEN": "only-on-this-machine"})
