package email

import "testing"

// How mail programs quote in HTML.
func TestReplyTextOfHTML(t *testing.T) {
	p := newParser(t)
	for program, html := range map[string]string{
		"gmail": `<div dir="ltr">Yes.</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On Mon, Mar 2, 2026 at 10:00&#8239;AM Ann &lt;` +
			`<a href="mailto:ann@mail.example">ann@mail.example</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0px"><div>Really?</div></blockquote></div>`,
		"gmail, signed": `<div dir="ltr">Yes.</div><div><span class="gmail_signature_prefix">-- </span><br></div><div class="gmail_signature">Ben<br>Some Company</div>`,
		"apple mail": `<html><body><div>Yes.</div><div><br><blockquote type="cite"><div>Am 02.03.2026 um 10:00 schrieb Ann &lt;ann@mail.example&gt;:</div><br>` +
			`<div>Wirklich?</div></blockquote></div></body></html>`,
		"iphone":      `<html><body dir="auto">Yes.<div><br id="lineBreakAtBeginningOfSignature"><div dir="ltr">Sent from my iPhone</div><div dir="ltr"><br><blockquote type="cite">On Mar 2, 2026, at 10:00, Ann &lt;ann@mail.example&gt; wrote:<br><br></blockquote></div><blockquote type="cite"><div dir="ltr">Really?</div></blockquote></div></body></html>`,
		"thunderbird": `<html><body><p>Yes.</p><div class="moz-cite-prefix">Le 02/03/2026 à 10:00, Ann a écrit :<br></div><blockquote type="cite" cite="mid:1"><p>Vraiment ?</p></blockquote></body></html>`,
		"outlook": `<div class=WordSection1><p class=MsoNormal>Yes.<o:p></o:p></p><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'>` +
			`<p class=MsoNormal><b>Von:</b> Ann &lt;ann@mail.example&gt; <br><b>Gesendet:</b> Montag, 2. März 2026 10:00<br><b>An:</b> Ben<br><b>Betreff:</b> Frage<o:p></o:p></p></div><p class=MsoNormal>Wirklich?</p></div>`,
		"outlook on the web": `<div>Yes.</div><div id="appendonsend"></div><hr style="display:inline-block;width:98%"><div id="divRplyFwdMsg" dir="ltr"><font><b>From:</b> Ann &lt;ann@mail.example&gt;<br>` +
			`<b>Sent:</b> Monday, March 2, 2026 10:00 AM<br><b>To:</b> Ben<br><b>Subject:</b> Question</font><div>&nbsp;</div></div><div>Really?</div>`,
		"outlook 2003": `<div class=OutlookMessageHeader dir=ltr align=left></div><p>Yes.</p><blockquote><div class=OutlookMessageHeader><font size=2>-----Original Message-----<br><b>From:</b> Ann<br><b>Sent:</b> Monday</font></div><p>Really?</p></blockquote>`,
		"outlook for telephones": `<div dir="ltr">Yes.</div><div id="ms-outlook-mobile-signature">Get <a href="https://aka.ms/o0ukef">Outlook for iOS</a></div><hr tabindex="-1"><div id="divRplyFwdMsg"><b>De :</b> Ann<br>` +
			`<b>Envoyé :</b> lundi 2 mars 2026<br><b>À :</b> Ben<br><b>Objet :</b> Question</div><div>Vraiment ?</div>`,
		"yahoo": `<div class="ydp1">Yes.</div><div id="yahoo_quoted_1" class="yahoo_quoted"><div><div>On Monday, March 2, 2026 at 10:00:00 AM GMT+1, Ann &lt;ann@mail.example&gt; wrote: </div><div><br></div>` +
			`<div><div>Really?</div></div></div></div>`,
		"hotmail": `<div dir="ltr">Yes.<br><div><hr id="stopSpelling">Date: Mon, 2 Mar 2026 10:00:00 +0100<br>Subject: Question<br>From: ann@mail.example<br>To: ben@mail.example<br><br>Really?</div></div>`,
		"samsung": `<div dir="auto">Yes.</div><div id="composer_signature"><div dir="auto">Von meinem/meiner Galaxy gesendet</div></div><div><br></div><div align="left" dir="auto">-------- Ursprüngliche Nachricht --------</div>` +
			`<div>Von: Ann &lt;ann@mail.example&gt; </div><div>Datum: 02.03.26 10:00 (GMT+01:00) </div><div>Wirklich?</div>`,
		"qq": `<div>Yes.</div><div><br></div><div style="font-size:12px">------------------&nbsp;原始邮件&nbsp;------------------</div><div>发件人: "Ann" &lt;ann@mail.example&gt;;</div><div>真的吗？</div>`,
	} {
		mail := "From: ben@mail.example\nContent-Type: text/html; charset=utf-8\n\n" + html
		if got := parse(t, p, mail).ReplyText; got != "Yes." {
			t.Errorf("%s: %q", program, got)
		}
	}
}
