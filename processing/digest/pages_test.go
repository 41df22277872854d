package digest_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"inreply/processing/digest"
)

// probe shows a reply as wide as a phone, or as a desktop, and writes down what a
// browser made of it.
const probe = `<!DOCTYPE html><body><iframe id="f" src="page.html" style="width:%dpx;height:3000px;border:0"></iframe><pre id="r"></pre>
<script>onload=()=>{const d=document.getElementById('f').contentDocument;
const i=[...d.images];
document.getElementById('r').textContent='MEASURED width='+d.documentElement.clientWidth+' content='+d.documentElement.scrollWidth+
' images='+i.length+' loaded='+i.filter(x=>x.complete&&x.naturalWidth>0&&x.alt).length+' text='+(d.body.innerText.length>300)}</script>`

// A browser lays the replies to the samples out: nothing stands out to the side, all
// pictures are there, and it has nothing to complain of. INREPLY_BROWSER names it.
func TestPages(t *testing.T) {
	browser := os.Getenv("INREPLY_BROWSER")
	if browser == "" {
		t.Skip("INREPLY_BROWSER names no browser: bash .ci/run pages")
	}
	for name, pictures := range map[string]int{"sales-2026q3": 1, "orders": 1, "mixed": 2} {
		r, err := digest.New(digest.Defaults()).Process(t.Context(), sample(t, name+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		html := r.HTML
		for _, a := range r.Attachments {
			html = strings.ReplaceAll(html, "cid:"+a.ContentID+`"`, "data:image/png;base64,"+base64.StdEncoding.EncodeToString(a.Content)+`"`)
		}
		for _, width := range []int{390, 1200} {
			t.Run(fmt.Sprintf("%s at %d", name, width), func(t *testing.T) {
				got := measured(t, browser, html, width)
				want := fmt.Sprintf("width=%d content=%d images=%d loaded=%d text=true", width, width, pictures, pictures)
				if got != want {
					t.Errorf("%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

func measured(t *testing.T, browser, html string, width int) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"page.html": html, "probe.html": fmt.Sprintf(probe, width)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--allow-file-access-from-files", "--hide-scrollbars",
		"--enable-logging=stderr", "--user-data-dir="+filepath.Join(folder, "profile"), "--window-size=1400,3200", "--dump-dom",
		"file://"+filepath.Join(folder, "probe.html"))
	var complaints bytes.Buffer
	command.Stderr = &complaints
	dom, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	if strings.Contains(complaints.String(), "CONSOLE") {
		t.Errorf("it complains:\n%s", complaints.String())
	}
	found := regexp.MustCompile(`MEASURED (width=[0-9][^<]*)`).FindSubmatch(dom)
	if found == nil {
		t.Fatalf("nothing was measured:\n%s", dom)
	}
	return string(found[1])
}
