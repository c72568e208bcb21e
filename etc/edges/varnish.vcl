# Varnish 6.0 or newer in front of Headwater, told by the plugin "cdn" (docs/CDN.md). Needs vmod xkey (Debian: varnish-modules);
# without it take out its import and the two blocks that call it, and set `ban = true` for the edge.
vcl 4.1;

import std;
import xkey;

backend origin {
  .host = "127.0.0.1";
  .port = "8080";
}

# The origin servers: only they may purge.
acl purgers {
  "127.0.0.1";
  "::1";
}

sub vcl_recv {
  if (req.method == "PURGE" || req.method == "BAN") {
    if (client.ip !~ purgers) {
      return (synth(403, "Forbidden"));
    }
    if (req.method == "BAN" && req.http.X-Ban-Tags) {
      ban("obj.http.Surrogate-Key ~ " + req.http.X-Ban-Tags);
      return (synth(200, "Banned"));
    }
    if (req.method == "BAN" && req.http.X-Ban-Path) {
      ban("obj.http.X-Ban-Host == " + req.http.Host + " && obj.http.X-Ban-Path ~ " + req.http.X-Ban-Path);
      return (synth(200, "Banned"));
    }
    if (req.http.xkey-purge) {
      set req.http.X-Purged = xkey.purge(req.http.xkey-purge);
      return (synth(200, "Purged " + req.http.X-Purged));
    }
    if (req.http.xkey-softpurge) {
      set req.http.X-Purged = xkey.softpurge(req.http.xkey-softpurge);
      return (synth(200, "Purged " + req.http.X-Purged));
    }
    return (purge);
  }
  unset req.http.Cookie;
}

sub vcl_backend_response {
  # What bans look at: they are kept up with in the background only where they ask for nothing of the request.
  set beresp.http.X-Ban-Host = bereq.http.Host;
  set beresp.http.X-Ban-Path = bereq.url;
  # edge_max_age
  if (beresp.status == 200 && beresp.http.Surrogate-Control ~ "max-age=[0-9]+") {
    set beresp.ttl = std.duration(regsub(beresp.http.Surrogate-Control, ".*max-age=([0-9]+).*", "\1s"), beresp.ttl);
  }
  # Varnish asks for the whole and answers ranges of it by itself.
  set beresp.do_stream = true;
}

sub vcl_deliver {
  set resp.http.X-Cache = "MISS";
  if (obj.hits > 0) {
    set resp.http.X-Cache = "HIT";
  }
  # For caches only.
  unset resp.http.X-Ban-Host;
  unset resp.http.X-Ban-Path;
  unset resp.http.Surrogate-Control;
  unset resp.http.Surrogate-Key;
  unset resp.http.xkey;
}
