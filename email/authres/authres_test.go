package authres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// short writes results on one line.
func short(results []Result) string {
	var all []string
	for _, r := range results {
		s := r.Method + "=" + r.Value
		for _, name := range []string{"header.from", "header.i", "header.d", "smtp.mailfrom"} {
			if v, there := r.Properties[name]; there {
				s += " " + name + "=" + v
			}
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"of SES": {
			"amazonses.com; spf=pass (spfCheck: domain of b.example designates 192.0.2.7 as permitted sender) client-ip=192.0.2.7; envelope-from=x@b.example; helo=mail.b.example; dkim=pass header.i=@b.example; dmarc=pass header.from=b.example;",
			"spf=pass, envelope-from=x@b.example, helo=mail.b.example, dkim=pass header.i=@b.example, dmarc=pass header.from=b.example",
		},
		"result in a comment":        {"amazonses.com; dkim=pass (foo; dmarc=pass header.from=bank.example) header.i=@evil.example", "dkim=pass header.i=@evil.example"},
		"result in a nested comment": {"amazonses.com; spf=none (a (b) ; dmarc=pass (\\) ) ; dkim=pass ) ; dmarc=fail header.from=x.example", "spf=none, dmarc=fail header.from=x.example"},
		"result in a quoted string":  {`amazonses.com; spf=pass smtp.mailfrom="a; dmarc=pass header.from=bank.example"@evil.example; dmarc=fail header.from=evil.example`, "spf=pass smtp.mailfrom=a; dmarc=pass header.from=bank.example@evil.example, dmarc=fail header.from=evil.example"},
		"escaped quote":              {`amazonses.com; spf=pass smtp.mailfrom="a\"; dmarc=pass"@e.example; dmarc=fail`, `spf=pass smtp.mailfrom=a"; dmarc=pass@e.example, dmarc=fail`},
		"open comment":               {"amazonses.com; spf=pass (; dmarc=pass", "spf=pass"},
		"open quote":                 {`amazonses.com; spf=pass smtp.mailfrom="; dmarc=pass`, "spf=pass smtp.mailfrom=; dmarc=pass"},
		"version and white space":    {"amazonses.com 1;\r\n dkim/1 = pass header.i = @x.example", "dkim=pass header.i=@x.example"},
		"none":                       {"amazonses.com; none", ""},
		"first property counts":      {"amazonses.com; dmarc=pass header.from=a.example header.from=b.example", "dmarc=pass header.from=a.example"},
		"property is no result":      {"amazonses.com; spf=fail dmarc=pass header.from=a.example", "spf=fail header.from=a.example"},
		"word between":               {"amazonses.com; hello dmarc=pass; spf=pass", "spf=pass"},
		"quoted method":              {`amazonses.com; "dmarc"=pass; spf=pass`, "spf=pass"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Parse(c.value, "amazonses.com")
			if diff := cmp.Diff(c.want, short(got)); diff != "" || !ok {
				t.Error(ok, diff)
			}
		})
	}
}

func TestServer(t *testing.T) {
	for _, value := range []string{"", "evil.example; dmarc=pass", `"amazonses.com"; dmarc=pass`, "(amazonses.com) evil; dmarc=pass", "amazonses.com.evil.example; dmarc=pass", "; dmarc=pass"} {
		if got, ok := Parse(value, "amazonses.com"); ok || got != nil {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// Text within a comment or a quoted string never changes which results there are.
func FuzzParse(f *testing.F) {
	f.Add("a; dmarc=pass header.from=b")
	f.Add(`\" ) ( ;`)
	f.Fuzz(func(t *testing.T, text string) {
		Parse(text, "amazonses.com")
		Parse("amazonses.com; "+text, "amazonses.com")
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
		commented := strings.NewReplacer(`\`, `\\`, `(`, `\(`, `)`, `\)`).Replace(text)
		got, ok := Parse(`amazonses.com; spf=pass (`+commented+`) smtp.mailfrom="`+quoted+`"@evil.example; dmarc=fail header.from=evil.example`, "amazonses.com")
		if !ok || len(got) != 2 || got[0].Method != "spf" || got[1].Value != "fail" || got[1].Properties["header.from"] != "evil.example" {
			t.Fatalf("%+v", got)
		}
		if got[0].Properties["smtp.mailfrom"] != text+"@evil.example" {
			t.Fatalf("%q", got[0].Properties)
		}
	})
}
