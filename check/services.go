package check

import (
	"context"
	"maps"
	"net"
	"net/url"
	"slices"
	"time"
)

// reaching is how long a connection may take.
const reaching = 5 * time.Second

// services checks that the application services can be reached from here: that a
// connection opens. Nothing is asked of them, since a service may take any request
// for a mail.
func (c *checker) services(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(c.options.Services)) {
		c.service(ctx, name, c.options.Services[name])
	}
}

func (c *checker) service(ctx context.Context, name, link string) {
	about := "service " + name
	u, err := url.Parse(link)
	if err != nil || u.Hostname() == "" {
		c.wrong(about, link+" is no URL", "correct it", "")
		return
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	address := net.JoinHostPort(u.Hostname(), port)
	ctx, cancel := context.WithTimeout(ctx, reaching)
	defer cancel()
	connection, err := c.options.Dial(ctx, "tcp", address)
	if err != nil {
		c.wrong(about, "no connection opens to "+address+": "+err.Error(), "start it, or correct its URL, the network or the security group; mails for it are parked meanwhile", "curl -v "+u.Scheme+"://"+u.Host+"/")
		return
	}
	connection.Close()
	c.ok(about, "a connection opens to %s", address)
}
