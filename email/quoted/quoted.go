// Package quoted finds what a person wrote in a reply, between what is quoted and
// the signature, in English, German, French, Spanish, Portuguese, Italian, Dutch,
// Japanese and Chinese.
//
// It knows three things that programs write above what they quote: a line such as
// "On Monday, Ann wrote:", the header of the quoted mail as Outlook repeats it,
// and a line of hyphens around "Original Message". Below the first, lines may go
// on without ">", and then all of them are quoted; with ">", only those lines are,
// and what is written between them is kept.
//
// A forwarded mail is what its sender wanted to show: from its headline on
// everything is kept. All of this is a guess, so what it returns always stands
// beside the whole text, never in its place.
package quoted

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The lines that introduce what is quoted. Each ends in a colon, so that most
// lines need not be looked at.
var (
	wrote = regexp.MustCompile(`(?i)^(` +
		`on\s.{4,}[\s>]wrote\s?:|at\s.{4,}\swrote\s?:|.{2,}<[^<>\s]+@[^<>\s]+>\s?wrote\s?:|` + // English
		`am\s.{4,}\sschrieb(\s.*)?:|.{4,}\sschrieb\s(am|um)\s.*:|am\s.{4,}\shat\s.*geschrieben\s?:|` + // German
		`le\s.{4,}\sa\sécrit\s?:|` + // French
		`el\s.{4,}\sescribi(ó|o)\s?:|` + // Spanish
		`(em|no\sdia|a|às)\s.{4,}\sescreveu\s?:|.{4,}\sescreveu\s\(.*\d.*\)\s?:|` + // Portuguese
		`(il|in\sdata)\s.{4,}\sha\sscritto\s?:|` + // Italian
		`op\s.{4,}\s(schreef|heeft)(\s.*)?:|` + // Dutch
		`.*\d.*(のメール|は書きました|が書きました|さんは次のように書きました|：|:)\s?[:：]|` +
		`\d{4}年\d{1,2}月\d{1,2}日.*[:：]|` + // Japanese, and Chinese dates
		`.{4,}(写道|寫道)\s?[:：]|` + // Chinese
		`.*\d.*<\s?[^<>\s]+@[^<>\s]+>\s?[:：]` + // a date and a mailbox, in any language
		`)$`)

	// The same with a time somewhere, and then a verb, or a mailbox and a verb in any
	// language. It stands alone, for one large expression is many times as slow.
	timed = regexp.MustCompile(`(?i)\d[:.]\d\d.*(\swrote|<\s?[^<>\s]+@[^<>\s]+>\s[^\s:：]+(\s[^\s:：]+)?)\s?[:：]$`)

	// A name and a verb, which introduce something only if it has quotation marks.
	named = regexp.MustCompile(`(?i)^\S.+\s(wrote|writes|schrieb|schreibt|a\sécrit|escribió|escreveu|ha\sscritto|schreef)\s?:$`)

	// What a line begins with that is the first of an introduction for sure.
	begins = regexp.MustCompile(`(?i)^(on|am|le|el|em|no dia|às|il|in data|op)\s`)

	original = regexp.MustCompile(`(?i)^-{2,}\s*(` +
		`original message|original appointment|reply message|ursprüngliche (nachricht|mail)|original-?nachricht|` +
		`message (d'|d’)origine|message original|mensaje original|mensagem original|messaggio originale|` +
		`oorspronkelijk bericht|元のメッセージ|オリジナルメッセージ|原始邮件|原始郵件|原始信息|原始訊息|原邮件|回复的原邮件|on\s.{4,}\swrote` +
		`)\s*-{2,}$`)

	forwarded = regexp.MustCompile(`(?i)^(-{2,}\s*(` +
		`forwarded message|forwarded by .*|weitergeleitete nachricht|message transféré|mensaje reenviado|mensagem encaminhada|` +
		`messaggio inoltrato|doorgestuurd bericht|転送されたメッセージ|转发邮件|轉寄郵件|转发的邮件` +
		`)\s*-{2,}|(begin forwarded message|anfang der weitergeleiteten nachricht|début du message réexpédié|inicio del mensaje reenviado|` +
		`início da mensagem encaminhada|inizio messaggio inoltrato|begin doorgestuurd bericht|以下は転送されたメッセージです|下面是被转发的邮件)\s?[:：])$`)

	from = regexp.MustCompile(`(?i)^[*\s]*(from|von|de|da|van|差出人|送信者|发件人|發件人|寄件者|寄件人)[*\s]*[:：][*\s]*\S`)

	label = regexp.MustCompile(`(?i)^[*\s]*(` +
		`sent|date|to|cc|subject|gesendet|datum|an|kopie|betreff|envoyé(\sle)?|à|copie\sà|objet|sujet|enviado(\sel|\sem)?|fecha|para|asunto|enviada(\sem)?|data|assunto|` +
		`inviato|a|oggetto|verzonden|aan|onderwerp|送信日時|日時|日付|宛先|件名|发送时间|發送時間|发送日期|日期|收件人|收件者|抄送|副本|主题|主題|主旨|寄件日期` +
		`)[*\s]*[:：]`)

	device = regexp.MustCompile(`(?i)^(` +
		`sent (from|via|with|using) (my |the )?[^\s,;][^,;]{1,40}|get outlook for .{2,20}|` +
		`(diese nachricht wurde )?von meine[mr](/meiner)? .{2,60} gesendet|gesendet (von|mit) .{2,40}|outlook für .{2,20} beziehen|holen sie sich outlook für .{2,20}|` +
		`envoyé (de|depuis|avec|à partir de?) (mon|ma|l’|l'|la)? ?.{2,40}|(obtenir|obtenez|télécharger|téléchargez) outlook pour .{2,20}|` +
		`enviad[oa] (desde|do|de|del|a partir do|pelo) (mi|meu|minha)? ?.{2,40}|obtener outlook para .{2,20}|obter o outlook para .{2,20}|` +
		`inviato (da|dal|con) (mio )?.{2,40}|(ottieni|scarica) outlook per .{2,20}|` +
		`(verzonden|verstuurd) (vanaf|met|via|vanuit|van) (mijn )?.{2,40}|(outlook voor .{2,20} (downloaden|ophalen)|download outlook voor .{2,20})|` +
		`.{1,30}から送信(されました)?|.{0,10}outlook.{0,20}を入手(する)?|发自.{1,20}|從我的.{1,20}傳送|(傳送|发送|寄)自.{1,20}|从.{2,20}发送|(获取|取得) ?.{0,6}outlook.*` +
		`)[.。]?(\s*[<\[(]?\(?https?://\S+)?$`)
)

// longestName is how long a line may be that has only a name and a verb.
const longestName = 80

// longestLine is how long a line may be that introduces something.
const longestLine = 300

// Reply is text without what it quotes and without signature. It may be empty.
func Reply(text string) string {
	p := passage{lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	p.kept = make([]string, 0, len(p.lines))
	for p.at < len(p.lines) {
		if !p.step() {
			break
		}
	}
	return p.result()
}

// passage is a text on its way, line by line.
type passage struct {
	lines []string
	at    int
	kept  []string
	looks int // octets so far that might have introduced something
}

// mostLooks is how many octets are looked at closely: a thousand lines or two. A
// text with more is none that a person wrote, and all of the rest is kept.
const mostLooks = 64 << 10

// step looks at one line. It reports whether there is anything to keep behind it.
func (p *passage) step() bool {
	line := strings.TrimRight(p.lines[p.at], " \t\r")
	bare := strings.TrimSpace(strings.ReplaceAll(line, "\u00a0", " "))
	switch {
	case strings.HasPrefix(bare, ">"), p.wrapped(bare):
		p.at++
		return true
	case line == "--" || bare == "-- ":
		return p.signature()
	case len(bare) > longestLine || p.looks > mostLooks:
	case strings.HasPrefix(bare, "-") && forwarded.MatchString(bare), endsInColon(bare) && forwarded.MatchString(bare):
		p.kept = append(p.kept, p.lines[p.at:]...)
		p.at = len(p.lines)
		return false
	case strings.HasPrefix(bare, "-") && original.MatchString(bare), p.ofList(bare):
		p.dropRule()
		return false
	case hasColon(bare) && (from.MatchString(bare) || p.ruled() && label.MatchString(bare)) && p.repeatsHeader():
		p.dropRule()
		return false
	case endsInColon(bare):
		n := p.introduction(bare)
		if n == 0 && len(bare) <= longestName && named.MatchString(bare) && p.marked(p.at+1) {
			n = 1
		}
		if n > 0 {
			p.kept = p.kept[:len(p.kept)-(n-1)]
			p.at++
			return p.marked(p.at)
		}
	}
	p.kept = append(p.kept, line)
	p.at++
	return true
}

// ofList reports whether a line is the rule above what a mailing list puts under
// each mail.
func (p *passage) ofList(bare string) bool {
	return len(bare) >= 40 && strings.Trim(bare, "_") == "" && p.at+1 < len(p.lines) && strings.HasSuffix(strings.TrimSpace(p.lines[p.at+1]), "mailing list")
}

// wrapped reports whether a line is the end of the quoted one above, which became
// too long with its mark and was broken on the way.
func (p *passage) wrapped(bare string) bool {
	if p.at == 0 || p.at+1 >= len(p.lines) || len(p.lines[p.at-1]) < 60 || len(bare) > 60 {
		return false
	}
	first, _ := utf8.DecodeRuneInString(bare)
	return unicode.IsLower(first) && strings.HasPrefix(p.lines[p.at-1], ">") && strings.HasPrefix(p.lines[p.at+1], ">")
}

// signature passes over a signature (RFC 3676, section 4.3). It goes on to the
// end, or to what is quoted below it.
func (p *passage) signature() bool {
	for p.at++; p.at < len(p.lines); p.at++ {
		if strings.HasPrefix(p.lines[p.at], ">") {
			return true
		}
	}
	return false
}

// hasColon reports whether a line may name a field of a header.
func hasColon(line string) bool { return strings.Contains(line, ":") || strings.Contains(line, "：") }

func endsInColon(line string) bool {
	return strings.HasSuffix(line, ":") || strings.HasSuffix(line, "：")
}

// introduction is how many lines introduce a quotation, the current one being the
// last of them: a long line is folded into up to three. None is 0.
func (p *passage) introduction(last string) int {
	joined, found := last, 0
	nameless := false // it begins with a mailbox: whose, stands above
	for n := 1; len(joined) <= longestLine; n++ {
		p.looks += len(joined)
		if (found == 0 || nameless || begins.MatchString(joined)) && (wrote.MatchString(joined) || timed.MatchString(joined)) {
			found = n
		}
		nameless = strings.HasPrefix(joined, "<")
		above := len(p.kept) - n
		if n == 3 || above < 0 {
			break
		}
		line := strings.TrimSpace(p.kept[above])
		if line == "" || endsInColon(line) {
			break
		}
		joined = line + " " + joined
	}
	return found
}

// marked reports whether the next line that is not empty, from one on, has a
// quotation mark. If there is none below an introduction, everything is quoted.
func (p *passage) marked(from int) bool {
	for i := from; i < len(p.lines); i++ {
		if bare := strings.TrimSpace(p.lines[i]); bare != "" {
			return strings.HasPrefix(bare, ">")
		}
	}
	return false
}

// longestLook is what the lines are taken for that may be a header.
const longestLook = 64

// repeatsHeader reports whether the current line begins the header of a quoted
// mail: two more of its fields stand within the next lines.
func (p *passage) repeatsHeader() bool {
	p.looks += longestLook
	fields := 0
	for i := p.at + 1; i < len(p.lines) && i <= p.at+8; i++ {
		if line := p.lines[i]; len(line) <= longestLine && label.MatchString(line) {
			fields++
		}
	}
	return fields >= 2
}

// ruled reports whether the line above is a rule: below one, a header may begin
// with its date.
func (p *passage) ruled() bool {
	last := ""
	if len(p.kept) > 0 {
		last = strings.TrimSpace(p.kept[len(p.kept)-1])
	}
	return len(last) >= 3 && strings.Trim(last, "_-*=") == ""
}

// dropRule takes off the line that some programs draw above a quoted header.
func (p *passage) dropRule() {
	for len(p.kept) > 0 {
		last := strings.TrimSpace(p.kept[len(p.kept)-1])
		if last != "" && strings.Trim(last, "_-*=") != "" {
			return
		}
		p.kept = p.kept[:len(p.kept)-1]
	}
}

// result is what was kept, without what a device put at the end.
func (p *passage) result() string {
	for range 3 {
		last := len(p.kept) - 1
		for last >= 0 && strings.TrimSpace(p.kept[last]) == "" {
			last--
		}
		p.kept = p.kept[:last+1]
		if last < 0 || len(p.kept[last]) > longestLine || !device.MatchString(strings.TrimSpace(p.kept[last])) {
			break
		}
		p.kept = p.kept[:last]
	}
	return strings.TrimSpace(strings.Join(p.kept, "\n"))
}
