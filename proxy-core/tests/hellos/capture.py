"""Records the first flight of real TLS clients on loopback as hex files. usage: capture.py DIR"""
import os, socket, subprocess, sys, textwrap

OPENSSL = ["openssl", "s_client", "-connect", "127.0.0.1:PORT"]
CURL = ["curl", "-k", "--noproxy", "*", "-4"]
NODE = 'require("tls").connect({host:"127.0.0.1",port:PORT,servername:"node.example.com",ALPNProtocols:["h2","http/1.1"]}).on("error",()=>{})'
LONG_ALPN = ",".join(f"protocol-number-{i:02}" for i in range(40))
CLIENTS = {
    "openssl_tls13_sni_alpn": OPENSSL + ["-servername", "Shop.Example.com", "-alpn", "h2,http/1.1"],
    "openssl_tls12_sni": OPENSSL + ["-servername", "mail.example.org", "-tls1_2"],
    "openssl_tls10_no_sni": OPENSSL + ["-noservername", "-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"],
    "openssl_512_byte_records": OPENSSL
    + ["-servername", "split.example.com", "-max_send_frag", "512", "-alpn", LONG_ALPN],
    "curl_localhost_h2": CURL + ["https://localhost:PORT/"],
    "curl_ip_literal": CURL + ["--http1.1", "https://127.0.0.1:PORT/"],
    "node_sni_alpn": ["node", "-e", NODE],
}


def first_flight(command):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        port = str(server.getsockname()[1])
        client = subprocess.Popen(
            [word.replace("PORT", port) for word in command],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        connection, _ = server.accept()
        flight = b""
        with connection:
            # The client has nothing more to say until it is answered: half a second of silence is the end.
            connection.settimeout(0.5)
            try:
                while chunk := connection.recv(65536):
                    flight += chunk
            except TimeoutError:
                pass
        client.wait(10)
        return flight


for name, command in CLIENTS.items():
    flight = first_flight(command)
    with open(os.path.join(sys.argv[1], name + ".hex"), "w") as out:
        out.write("\n".join(textwrap.wrap(flight.hex(), 96)) + "\n")
    print(name, len(flight), flight[:9].hex())
