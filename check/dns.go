package check

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
)

// dns checks what the world is told: where mail for us goes, and by which keys our
// replies are signed.
func (c *checker) dns(ctx context.Context) {
	if c.options.Resolver == nil {
		c.find(Finding{State: Advice, About: "DNS", Says: "SES is an emulator here, so DNS is not asked"})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	domains := c.domains
	if len(domains) == 0 {
		domains = domainsOf(c.senders())
	}
	for _, domain := range slices.Compact(slices.Sorted(slices.Values(domains))) {
		c.mx(ctx, domain)
	}
	for identity, tokens := range c.tokens {
		_, domain, address := strings.Cut(identity, "@")
		if !address {
			domain = identity
		}
		c.keys(ctx, domain, tokens)
	}
}

// mx checks that mail for a domain reaches SES in its region.
func (c *checker) mx(ctx context.Context, domain string) {
	about := "MX of " + domain
	region := c.clients.SES.Options().Region
	host := "inbound-smtp." + region + ".amazonaws.com"
	publish := domain + ". 3600 IN MX 10 " + host + "."
	records, err := c.options.Resolver.LookupMX(ctx, domain)
	if err != nil && !missing(err) {
		c.wrong(about, "DNS does not answer: "+err.Error(), "ask again", "dig +short MX "+domain)
		return
	}
	var others []string
	for _, r := range records {
		if strings.EqualFold(strings.TrimSuffix(r.Host, "."), host) {
			c.ok(about, "it is %s", host)
			return
		}
		others = append(others, r.Host)
	}
	says := "there is none: no mail reaches SES"
	if len(others) > 0 {
		says = "it is " + strings.Join(others, ", ") + ": no mail reaches SES in " + region
	}
	c.wrong(about, says, "publish: "+publish, "dig +short MX "+domain)
}

// keys checks that the keys are published by which SES signs.
func (c *checker) keys(ctx context.Context, domain string, tokens []string) {
	about := "DKIM of " + domain
	var lost []string
	for _, token := range tokens {
		name := token + "._domainkey." + domain
		target := token + ".dkim.amazonses.com"
		canonical, err := c.options.Resolver.LookupCNAME(ctx, name)
		if err != nil && !missing(err) {
			c.wrong(about, "DNS does not answer: "+err.Error(), "ask again", "dig +short CNAME "+name)
			return
		}
		// A name that is no alias is its own canonical name.
		if err != nil || strings.EqualFold(strings.TrimSuffix(canonical, "."), name) {
			lost = append(lost, name+". 3600 IN CNAME "+target+".")
		}
	}
	if len(lost) == 0 {
		c.ok(about, "its %d keys are published", len(tokens))
		return
	}
	c.wrong(about, "keys are not published: replies fail DKIM", "publish: "+strings.Join(lost, " and "), "")
}

// missing reports whether DNS says that there is no such name.
func missing(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}
