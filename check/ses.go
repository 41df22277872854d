package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
)

// ses checks that replies may be sent, and that mail comes in.
func (c *checker) ses(ctx context.Context) {
	c.identities(ctx)
	c.quota(ctx)
	c.receipt(ctx)
}

// senders are the mailboxes that replies come from.
func (c *checker) senders() []string {
	all := []string{c.config.Mailer.From}
	for _, i := range c.config.Mailer.Identities {
		all = append(all, i.From)
	}
	return all
}

// sesIn is the option of a command that asks SES, which may be in another region.
func (c *checker) sesIn() string { return " --region " + c.clients.SES.Options().Region }

// identities checks that SES has verified every sender, as an address or by its domain.
func (c *checker) identities(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, sender := range c.senders() {
		about := "identity of " + sender
		_, domain, _ := strings.Cut(sender, "@")
		domain = strings.ToLower(domain)
		asked := []string{sender, domain}
		// The domain above stands for it, too.
		if _, above, ok := strings.Cut(domain, "."); ok && strings.Contains(above, ".") {
			asked = append(asked, above)
		}
		out, err := c.clients.SES.GetIdentityVerificationAttributes(ctx, &ses.GetIdentityVerificationAttributesInput{Identities: asked})
		if err != nil {
			c.failed(about, "ses:GetIdentityVerificationAttributes", err)
			return
		}
		i := slices.IndexFunc(asked, func(name string) bool {
			return out.VerificationAttributes[name].VerificationStatus == types.VerificationStatusSuccess
		})
		if i < 0 {
			status := "it does not know it"
			for _, name := range asked {
				if a, there := out.VerificationAttributes[name]; there {
					status = fmt.Sprintf("%s is %s", name, a.VerificationStatus)
				}
			}
			c.wrong(about, "SES has not verified it: "+status, "verify the domain, and publish what the command prints", "aws ses verify-domain-dkim --domain "+domain+c.sesIn())
			continue
		}
		c.ok(about, "SES has verified %s", asked[i])
		c.dkim(ctx, about, asked[i], domain)
	}
}

// dkim checks that SES signs.
func (c *checker) dkim(ctx context.Context, about, identity, domain string) {
	out, err := c.clients.SES.GetIdentityDkimAttributes(ctx, &ses.GetIdentityDkimAttributesInput{Identities: []string{identity}})
	if err != nil {
		c.failed(about, "ses:GetIdentityDkimAttributes", err)
		return
	}
	a := out.DkimAttributes[identity]
	if !a.DkimEnabled || a.DkimVerificationStatus != types.VerificationStatusSuccess {
		status := string(a.DkimVerificationStatus)
		if status == "" || !a.DkimEnabled && a.DkimVerificationStatus == types.VerificationStatusSuccess {
			status = "turned off"
		}
		c.wrong(about, "its mail is not signed by DKIM ("+status+"), so that it passes no DMARC", "publish the three CNAME records that the command prints", "aws ses verify-domain-dkim --domain "+domain+c.sesIn())
		return
	}
	c.ok(about, "its mail is signed by DKIM")
	if c.tokens == nil {
		c.tokens = map[string][]string{}
	}
	c.tokens[identity] = a.DkimTokens
}

// The quota of an account in the sandbox ("Moving out of the Amazon SES sandbox" in
// the SES developer guide). No other account has it.
const (
	sandboxDay  = 200
	sandboxRate = 1
)

func (c *checker) quota(ctx context.Context) {
	const about = "SES account"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if out, err := c.clients.SES.GetAccountSendingEnabled(ctx, &ses.GetAccountSendingEnabledInput{}); err != nil {
		c.failed(about, "ses:GetAccountSendingEnabled", err)
	} else if !out.Enabled {
		c.wrong(about, "sending is paused", "find out why in the SES console, then turn it on", "aws ses update-account-sending-enabled --enabled"+c.sesIn())
	}
	out, err := c.clients.SES.GetSendQuota(ctx, &ses.GetSendQuotaInput{})
	if err != nil {
		c.failed(about, "ses:GetSendQuota", err)
		return
	}
	more := "aws sesv2 put-account-details --production-access-enabled --mail-type TRANSACTIONAL --website-url https://YOUR-SITE --use-case-description 'Answers to mails that customers send us'" + c.sesIn()
	left := out.Max24HourSend - out.SentLast24Hours
	switch {
	case out.Max24HourSend == sandboxDay && out.MaxSendRate == sandboxRate:
		c.wrong(about, "it is in the sandbox: only verified addresses get replies", "ask AWS to let it out; that takes about a day", more)
	case out.Max24HourSend < 0:
		c.ok(about, "it may send any number of replies")
	case left < out.Max24HourSend/5:
		c.wrong(about, fmt.Sprintf("%.0f of %.0f replies of these 24 hours are sent already", out.SentLast24Hours, out.Max24HourSend), "ask for a higher quota in the Service Quotas console", "aws service-quotas list-service-quotas --service-code ses"+c.sesIn())
	default:
		c.ok(about, "it may send %.0f replies in 24 hours, %.0f a second; %.0f are sent", out.Max24HourSend, out.MaxSendRate, out.SentLast24Hours)
	}
}

// receipt checks that SES stores what comes in.
func (c *checker) receipt(ctx context.Context) {
	const about = "receipt rules"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := c.clients.SES.DescribeActiveReceiptRuleSet(ctx, &ses.DescribeActiveReceiptRuleSetInput{})
	if err != nil {
		c.failed(about, "ses:DescribeActiveReceiptRuleSet", err)
		return
	}
	if out.Metadata == nil || aws.ToString(out.Metadata.Name) == "" {
		c.wrong(about, "no rule set is active: SES takes no mail in", "activate yours; only one is active in an account", "aws ses set-active-receipt-rule-set --rule-set-name inreply"+c.sesIn())
		return
	}
	set := aws.ToString(out.Metadata.Name)
	all := storingRules(out.Rules)
	if len(all) == 0 {
		c.wrong(about, "the active set "+set+" has no rule that stores mail in S3", "add one to it", "aws ses create-receipt-rule --rule-set-name "+set+" --rule file://rule.json"+c.sesIn())
		return
	}
	unscanned := ""
	for _, r := range c.ours(all) {
		at := place{aws.ToString(r.action.BucketName), aws.ToString(r.action.ObjectKeyPrefix)}
		c.stored = append(c.stored, at)
		if r.action.IamRoleArn == nil {
			c.rules = append(c.rules, storing{at, fmt.Sprintf("arn:%s:ses:%s:%s:receipt-rule-set/%s:receipt-rule/%s", c.partition, c.clients.SES.Options().Region, cmp.Or(c.account, "ACCOUNT"), set, aws.ToString(r.Name))})
		}
		c.domains = append(c.domains, domainsOf(r.Recipients)...)
		if !r.ScanEnabled {
			unscanned = aws.ToString(r.Name)
		}
	}
	c.ok(about, "set %s is active, and stores mail in %s/%s", set, c.stored[0].bucket, c.stored[0].prefix)
	if unscanned != "" {
		c.wrong(about, "rule "+unscanned+" does not scan: mail comes without verdicts on spam and viruses", "turn scanning on", "aws ses update-receipt-rule --rule-set-name "+set+" --rule file://rule.json"+c.sesIn())
	}
	if p := c.config.Relay.Prefix; c.config.Relay.Enabled() && !slices.ContainsFunc(c.stored, func(s place) bool { return strings.HasPrefix(s.prefix, p) || strings.HasPrefix(p, s.prefix) }) {
		c.wrong(about, fmt.Sprintf("mail is stored under %q, and relay.prefix passes on only what is under %q", c.stored[0].prefix, p), "make the two the same", "")
	}
	if s := c.config.Relay.Suffix; c.config.Relay.Enabled() && s != "" {
		c.wrong(about, fmt.Sprintf("the keys of what SES stores have no suffix, and relay.suffix passes on only those that end in %q", s), "leave relay.suffix empty", "")
	}
	for _, domain := range c.config.Email.Domains {
		if !slices.ContainsFunc(all, func(r rule) bool { return r.takes(domain) }) {
			c.advise(about, "no rule of the active set "+set+" stores mail to "+domain+", which is one of email.domains", "add it to the recipients of one, unless such mail is forwarded", "aws ses update-receipt-rule --rule-set-name "+set+" --rule file://rule.json"+c.sesIn())
		}
	}
}

// rule is a receipt rule that is enabled and stores mail.
type rule struct {
	types.ReceiptRule
	action *types.S3Action
}

func storingRules(rules []types.ReceiptRule) (all []rule) {
	for _, r := range rules {
		for _, action := range r.Actions {
			if r.Enabled && action.S3Action != nil {
				all = append(all, rule{r, action.S3Action})
			}
		}
	}
	return all
}

// ours are the rules for our domains: the set may have others, which are nobody's
// business here. Where no domain of ours is set, or its mail comes in by way of
// another, all may be.
func (c *checker) ours(all []rule) (ours []rule) {
	for _, r := range all {
		if slices.ContainsFunc(c.config.Email.Domains, r.takes) {
			ours = append(ours, r)
		}
	}
	if len(ours) == 0 {
		return all
	}
	return ours
}

// takes reports whether a rule is for a domain, or for an address in it: one without
// recipients is for all, and one that begins with a dot for what is below
// ("Receipt rules" in the SES developer guide).
func (r rule) takes(domain string) bool {
	return len(r.Recipients) == 0 || slices.ContainsFunc(r.Recipients, func(recipient string) bool {
		if strings.HasPrefix(recipient, ".") {
			return strings.HasSuffix(strings.ToLower(domain), strings.ToLower(recipient))
		}
		_, at, _ := strings.Cut(recipient, "@")
		return strings.EqualFold(recipient, domain) || strings.EqualFold(at, domain)
	})
}

// domainsOf are the domains that recipients of a rule are in.
func domainsOf(recipients []string) (all []string) {
	for _, r := range recipients {
		if _, domain, ok := strings.Cut(r, "@"); ok {
			r = domain
		}
		if r = strings.ToLower(strings.TrimPrefix(r, ".")); !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}
