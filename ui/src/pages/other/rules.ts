// Rules of nftables for the port between the machines.

/** Host and port of an address, with IPv6 in brackets. */
export function splitAddress(address: string): { host: string; port: string } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: address.slice(colon + 1) };
}

interface Node {
  id: string;
  address: string;
}

/** What one server should let in on its port between the machines: the others, and nobody else. */
export function rulesOf(server: Node, all: Node[]): string {
  const { port } = splitAddress(server.address);
  const hosts = new Set(all.filter((other) => other.id !== server.id).map((other) => splitAddress(other.address).host));
  const lines = [...hosts].map((host) => {
    if (/^[\d.]+$/.test(host)) return `    tcp dport ${port} ip saddr ${host} accept`;
    if (host.includes(":")) return `    tcp dport ${port} ip6 saddr ${host} accept`;
    // nft asks DNS for names once, when the rules are loaded.
    return `    tcp dport ${port} ip saddr "${host}" accept`;
  });
  const chain = "    type filter hook input priority filter; policy accept;";
  const local = `    iifname "lo" tcp dport ${port} accept`;
  const rules = [chain, local, ...lines, `    tcp dport ${port} drop`].join("\n");
  return `table inet sterna\ndelete table inet sterna\ntable inet sterna {\n  chain input {\n${rules}\n  }\n}`;
}
