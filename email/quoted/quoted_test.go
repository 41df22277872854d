package quoted

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReply(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing quoted":        {"Hello,\n\nplease send it.\n", "Hello,\n\nplease send it."},
		"english":               {"Yes.\n\nOn Mon, 1 Mar 2026 at 12:30, Ann <a@b.example> wrote:\n> Really?\n", "Yes."},
		"folded head":           {"Yes.\n\nOn Mon, 1 Mar 2026 at 12:30, Ann Somebody With A Long Name\n<a@b.example> wrote:\n\n> Really?\n", "Yes."},
		"head in three lines":   {"Yes.\n\nOn Mon, 1 Mar 2026\nat 12:30, Ann <a@b.example>\nwrote:\n> Really?\n", "Yes."},
		"without marks":         {"Yes.\n\nOn Mon, 1 Mar 2026, Ann wrote:\n\nReally?\nNo?\n", "Yes."},
		"between":               {"On Mon, 1 Mar 2026, Ann wrote:\n> One?\nYes.\n> Two?\nNo.\n", "Yes.\nNo."},
		"german":                {"Ja.\n\nAm 01.03.26 um 12:30 schrieb Ann Beispiel:\n> Wirklich?\n", "Ja."},
		"german, apple":         {"Ja.\n\nAm 01.03.2026 um 12:30 schrieb Ann <a@b.example>:\n\nWirklich?\n", "Ja."},
		"french":                {"Oui.\n\nLe lun. 1 mars 2026 à 12:30, Ann <a@b.example> a écrit :\n> Vraiment ?\n", "Oui."},
		"spanish":               {"Sí.\n\nEl lun, 1 mar 2026 a las 12:30, Ann (<a@b.example>) escribió:\n> ¿De verdad?\n", "Sí."},
		"portuguese":            {"Sim.\n\nEm seg., 1 de mar. de 2026 às 12:30, Ann <a@b.example> escreveu:\n> Mesmo?\n", "Sim."},
		"italian":               {"Sì.\n\nIl giorno lun 1 mar 2026 alle ore 12:30 Ann <a@b.example> ha scritto:\n> Davvero?\n", "Sì."},
		"dutch":                 {"Ja.\n\nOp ma 1 mrt 2026 om 12:30 schreef Ann <a@b.example>:\n> Echt?\n", "Ja."},
		"japanese":              {"はい。\n\n2026年3月1日(月) 12:30 Ann <a@b.example>:\n> 本当ですか？\n", "はい。"},
		"japanese, wrote":       {"はい。\n\n2026/03/01 12:30、Annのメール:\n> 本当ですか？\n", "はい。"},
		"chinese":               {"是的。\n\nAnn <a@b.example> 于2026年3月1日周一 12:30写道：\n> 真的吗？\n", "是的。"},
		"chinese, traditional":  {"是的。\n\nAnn 於 2026年3月1日 寫道：\n> 真的嗎？\n", "是的。"},
		"outlook":               {"Yes.\n\n________________________________\nFrom: Ann <a@b.example>\nSent: Monday, March 1, 2026 12:30\nTo: Ben\nSubject: Really\n\nReally?\n", "Yes."},
		"outlook, german":       {"Ja.\n\nVon: Ann <a@b.example>\nGesendet: Montag, 1. März 2026 12:30\nAn: Ben\nBetreff: Wirklich\n\nWirklich?\n", "Ja."},
		"outlook, french":       {"Oui.\n\nDe : Ann <a@b.example>\nEnvoyé : lundi 1 mars 2026\nÀ : Ben\nObjet : Vraiment\n\nVraiment ?\n", "Oui."},
		"outlook, spanish":      {"Sí.\n\nDe: Ann\nEnviado: lunes\nPara: Ben\nAsunto: x\n\ny\n", "Sí."},
		"outlook, portuguese":   {"Sim.\n\nDe: Ann\nEnviada em: segunda\nPara: Ben\nAssunto: x\n\ny\n", "Sim."},
		"outlook, italian":      {"Sì.\n\nDa: Ann\nInviato: lunedì\nA: Ben\nOggetto: x\n\ny\n", "Sì."},
		"outlook, dutch":        {"Ja.\n\nVan: Ann\nVerzonden: maandag\nAan: Ben\nOnderwerp: x\n\ny\n", "Ja."},
		"outlook, japanese":     {"はい。\n\n差出人: Ann\n送信日時: 2026年3月1日\n宛先: Ben\n件名: x\n\ny\n", "はい。"},
		"outlook, chinese":      {"是。\n\n发件人: Ann\n发送时间: 2026年3月1日\n收件人: Ben\n主题: x\n\ny\n", "是。"},
		"outlook, bold":         {"Yes.\n\n*From:* Ann\n*Sent:* Monday\n*To:* Ben\n\nReally?\n", "Yes."},
		"original message":      {"Yes.\n\n-----Original Message-----\nFrom: Ann\n\nReally?\n", "Yes."},
		"original, german":      {"Ja.\n\n-----Ursprüngliche Nachricht-----\nVon: Ann\n\nWirklich?\n", "Ja."},
		"signature":             {"Yes.\n\n-- \nBen\nSome Company\n", "Yes."},
		"signature, then quote": {"Yes.\n\n-- \nBen\n\n> Really?\nNo, not now.\n", "Yes.\n\nNo, not now."},
		"telephone":             {"Yes.\n\nSent from my iPhone\n", "Yes."},
		"telephone, german":     {"Ja.\n\nVon meinem iPhone gesendet\n\nAm 01.03.2026 um 12:30 schrieb Ann <a@b.example>:\n\n> Wirklich?\n", "Ja."},
		"telephone, french":     {"Oui.\n\nEnvoyé de mon iPhone\n", "Oui."},
		"telephone, japanese":   {"はい。\n\niPhoneから送信\n", "はい。"},
		"telephone, chinese":    {"是。\n\n发自我的iPhone\n", "是。"},
		"outlook for a phone":   {"Yes.\n\nGet Outlook for iOS (https://aka.ms/o0ukef)\n", "Yes."},
		"forwarded":             {"See below.\n\n---------- Forwarded message ---------\nFrom: Ann <a@b.example>\nDate: Monday\nSubject: x\nTo: Ben\n\nThe text.\n", "See below.\n\n---------- Forwarded message ---------\nFrom: Ann <a@b.example>\nDate: Monday\nSubject: x\nTo: Ben\n\nThe text."},
		"forwarded by apple":    {"Begin forwarded message:\n\nFrom: Ann\nSubject: x\nDate: y\n\nThe text.", "Begin forwarded message:\n\nFrom: Ann\nSubject: x\nDate: y\n\nThe text."},
		"list with a colon":     {"These are the numbers:\n1\n2\n", "These are the numbers:\n1\n2"},
		"from in a sentence":    {"From: the beginning\nit was wrong.\n", "From: the beginning\nit was wrong."},
		"only a quotation":      {"> Really?\n", ""},
		"nothing":               {"", ""},
		"CRLF":                  {"Yes.\r\n\r\nOn Mon, 1 Mar 2026, Ann wrote:\r\n> Really?\r\n", "Yes."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Reply(c.text); got != c.want {
				t.Errorf("%q", got)
			}
		})
	}
}

// A reply is made of lines of the text, in their order.
func FuzzReply(f *testing.F) {
	f.Add("Yes.\n\nOn Mon, Ann\nwrote:\n> a\n-- \nB\n")
	f.Add("From: a\nSent: b\nTo: c\n\n__\n写道：\nSent from my iPhone")
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		reply := Reply(text)
		if !utf8.ValidString(reply) || len(reply) > len(text) {
			t.Fatalf("%q", reply)
		}
		rest := text
		for line := range strings.SplitSeq(reply, "\n") {
			_, after, found := strings.Cut(rest, strings.TrimSpace(line))
			if !found {
				t.Fatalf("%q is not in %q", line, text)
			}
			rest = after
		}
	})
}

func BenchmarkReply(b *testing.B) {
	for name, text := range map[string]string{
		"text":   strings.Repeat("Some words that a person might write in a mail to somebody.\n", 16_000),
		"colons": strings.Repeat("On the first of these days, and so on:\n", 25_000),
		"from":   strings.Repeat("From: x\n", 125_000),
		"quotes": strings.Repeat("> x\n", 250_000),
		"sent":   strings.Repeat("Sent from my x\n", 60_000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				Reply(text)
			}
		})
	}
}
