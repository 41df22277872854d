package quoted

import (
	"strings"
	"testing"
)

// What mail programs write above what they quote, each in its languages.
func introductions() map[string][]string {
	return map[string][]string{
		"gmail": {
			"On Mon, Mar 2, 2026 at 10:00 AM Ann Example <ann@mail.example> wrote:",
			"Am Mo., 2. März 2026 um 10:00 Uhr schrieb Ann Example <ann@mail.example>:",
			"Le lun. 2 mars 2026 à 10:00, Ann Example <ann@mail.example> a écrit :",
			"El lun, 2 mar 2026 a las 10:00, Ann Example (<ann@mail.example>) escribió:",
			"Em seg., 2 de mar. de 2026 às 10:00, Ann Example <ann@mail.example> escreveu:",
			"Ann Example <ann@mail.example> escreveu (segunda, 2/03/2026 à(s) 10:00):",
			"Il giorno lun 2 mar 2026 alle ore 10:00 Ann Example <ann@mail.example> ha scritto:",
			"Op ma 2 mrt 2026 om 10:00 schreef Ann Example <ann@mail.example>:",
			"2026年3月2日(月) 10:00 Ann Example <ann@mail.example>:",
			"Ann Example <ann@mail.example> 于2026年3月2日周一 10:00写道：",
			"Ann Example <ann@mail.example> 於 2026年3月2日 週一 上午10:00寫道：",
		},
		"apple mail": {
			"On Mar 2, 2026, at 10:00 AM, Ann Example <ann@mail.example> wrote:",
			"On 2 Mar 2026, at 10:00, Ann Example <ann@mail.example> wrote:",
			"Am 02.03.2026 um 10:00 schrieb Ann Example <ann@mail.example>:",
			"Le 2 mars 2026 à 10:00, Ann Example <ann@mail.example> a écrit :",
			"El 2 mar 2026, a las 10:00, Ann Example <ann@mail.example> escribió:",
			"Em 2 de mar. de 2026, à(s) 10:00, Ann Example <ann@mail.example> escreveu:",
			"No dia 2/03/2026, às 10:00, Ann Example <ann@mail.example> escreveu:",
			"Il giorno 2 mar 2026, alle ore 10:00, Ann Example <ann@mail.example> ha scritto:",
			"Op 2 mrt 2026 om 10:00 heeft Ann Example <ann@mail.example> het volgende geschreven:",
			"2026/03/02 10:00、Ann Example <ann@mail.example>のメール:",
			"2026年3月2日 10:00，Ann Example <ann@mail.example> 写道：",
			"Ann Example <ann@mail.example> 於 2026年3月2日 上午10:00 寫道：",
		},
		"thunderbird": {
			"On 02/03/2026 10:00, Ann Example wrote:",
			"Am 02.03.26 um 10:00 schrieb Ann Example:",
			"Le 02/03/2026 à 10:00, Ann Example a écrit :",
			"El 2/3/26 a las 10:00, Ann Example escribió:",
			"Em 02/03/2026 10:00, Ann Example escreveu:",
			"Às 10:00 de 02/03/2026, Ann Example escreveu:",
			"Il 02/03/26 10:00, Ann Example ha scritto:",
			"Op 02-03-2026 om 10:00 schreef Ann Example:",
			"2026/03/02 10:00, Ann Example wrote:",
			"在 2026/3/2 10:00, Ann Example 写道:",
		},
		"yahoo": {
			"On Monday, March 2, 2026 at 10:00:00 AM GMT+1, Ann Example <ann@mail.example> wrote:",
			"Am Montag, 2. März 2026 um 10:00:00 MEZ hat Ann Example <ann@mail.example> Folgendes geschrieben:",
			"Le lundi 2 mars 2026 à 10:00:00 UTC+1, Ann Example <ann@mail.example> a écrit :",
			"El lunes, 2 de marzo de 2026, 10:00:00 CET, Ann Example <ann@mail.example> escribió:",
			"Em segunda-feira, 2 de março de 2026 às 10:00:00 BRT, Ann Example <ann@mail.example> escreveu:",
			"Il lunedì 2 marzo 2026 alle ore 10:00:00 CET, Ann Example <ann@mail.example> ha scritto:",
			"Op maandag 2 maart 2026 om 10:00:00 CET schreef Ann Example <ann@mail.example>:",
		},
		"others": {
			"On Monday, March 2nd, 2026 at 10:00 AM, Ann Example <ann@mail.example> wrote:",     // Proton
			"---- On Mon, 02 Mar 2026 10:00:00 +0100 Ann Example <ann@mail.example> wrote ----", // Zoho
			"At 2026-03-02 10:00:00, \"Ann Example\" <ann@mail.example> wrote:",                 // 163
			"在 2026-03-02 10:00:00，\"Ann Example\" <ann@mail.example> 写道：",
			"On Mon, Mar 2, 2026 at 10:00 AM, Ann Example <ann@mail.example>wrote:", // old Gmail
			"W dniu 2026-03-02 10:00:00 użytkownik Ann Example <ann@mail.example> napisał:",
		},
	}
}

// headers are how programs repeat the header of what they quote.
func headers() map[string][]string {
	return map[string][]string{
		"outlook": {
			"From: Ann Example <ann@mail.example>\nSent: Monday, March 2, 2026 10:00 AM\nTo: Ben <ben@mail.example>\nSubject: RE: Order",
			"Von: Ann Example <ann@mail.example>\nGesendet: Montag, 2. März 2026 10:00\nAn: Ben\nBetreff: AW: Bestellung",
			"De : Ann Example <ann@mail.example>\nEnvoyé : lundi 2 mars 2026 10:00\nÀ : Ben\nObjet : RE: Commande",
			"De: Ann Example <ann@mail.example>\nEnviado el: lunes, 2 de marzo de 2026 10:00\nPara: Ben\nAsunto: RE: Pedido",
			"De: Ann Example <ann@mail.example>\nEnviada em: segunda-feira, 2 de março de 2026 10:00\nPara: Ben\nAssunto: RES: Pedido",
			"Da: Ann Example <ann@mail.example>\nInviato: lunedì 2 marzo 2026 10:00\nA: Ben\nOggetto: R: Ordine",
			"Van: Ann Example <ann@mail.example>\nVerzonden: maandag 2 maart 2026 10:00\nAan: Ben\nOnderwerp: RE: Bestelling",
			"差出人: Ann Example <ann@mail.example>\n送信日時: 2026年3月2日 10:00\n宛先: Ben\n件名: RE: 注文",
			"发件人: Ann Example <ann@mail.example>\n发送时间: 2026年3月2日 10:00\n收件人: Ben\n主题: 答复: 订单",
			"寄件者: Ann Example <ann@mail.example>\n寄件日期: 2026年3月2日 10:00\n收件者: Ben\n主旨: 回覆: 訂單",
			"*From:* Ann Example <ann@mail.example>\n*Sent:* Monday, March 2, 2026 10:00 AM\n*To:* Ben <ben@mail.example>\n*Subject:* RE: Order",
			"From: Ann Example\n<ann@mail.example>\nSent: Monday, March 2, 2026 10:00 AM\nTo: Ben\nSubject: RE: Order",
		},
		"yahoo": {
			"De : Ann Example <ann@mail.example>\n À : Ben <ben@mail.example>\n Envoyé le : Lundi 2 mars 2026 10h00\n Objet : Re: Commande",
			"De : \"Ann Example\" <ann@mail.example>\nA : ben@mail.example\nCopie à :\nSujet : Commande",
		},
		"hotmail": {
			"________________________________\nDate: Mon, 2 Mar 2026 10:00:00 +0100\nSubject: Order\nFrom: ann@mail.example\nTo: ben@mail.example",
		},
		"original": {
			"-----Original Message-----\nFrom: Ann", "-------- Original message --------\nFrom: Ann <ann@mail.example>\nDate: 3/2/26 10:00 AM (GMT+01:00)",
			"-----Ursprüngliche Nachricht-----\nVon: Ann", "-------- Originalnachricht --------\nVon: Ann", "-------- Message d'origine --------\nDe : Ann",
			"-------- Message original --------\nDe : Ann", "-------- Mensaje original --------\nDe: Ann", "-------- Mensagem original --------\nDe: Ann",
			"-------- Messaggio originale --------\nDa: Ann", "-------- Oorspronkelijk bericht --------\nVan: Ann", "-------- 元のメッセージ --------\nFrom: Ann",
			"------------------\u00a0原始邮件\u00a0------------------\n发件人: Ann", "-------- 原始信息 --------\n发件人: Ann", "---- 回复的原邮件 ----\n| 发件人 | Ann |",
		},
	}
}

// devices are what telephones and mail programs put under each mail.
func devices() []string {
	return []string{
		"Sent from my iPhone", "Sent from my Galaxy", "Sent from Outlook for iOS", "Sent from Mail for Windows", "Sent with Proton Mail secure email.",
		"Get Outlook for Android<https://aka.ms/AAb9ysg>", "Sent from Yahoo Mail on Android", "Sent from my BlackBerry® wireless device",
		"Von meinem iPhone gesendet", "Von meinem/meiner Galaxy gesendet", "Gesendet von Outlook für Android<https://aka.ms/AAb9ysg>",
		"Diese Nachricht wurde von meinem Android-Gerät mit GMX Mail gesendet.", "Gesendet von Mail für Windows",
		"Envoyé de mon iPhone", "Envoyé depuis mon smartphone Galaxy", "Envoyé à partir de Outlook pour iOS<https://aka.ms/o0ukef>", "Obtenez Outlook pour iOS",
		"Enviado desde mi iPhone", "Enviado desde Correo para Windows", "Obtener Outlook para Android",
		"Enviado do meu iPhone", "Enviado a partir do meu smartphone Samsung Galaxy.", "Obter o Outlook para iOS",
		"Inviato da iPhone", "Inviato dal mio iPhone", "Inviato da Outlook per iOS", "Scarica Outlook per Android",
		"Verstuurd vanaf mijn iPhone", "Verzonden vanuit Outlook voor iOS", "Outlook voor Android downloaden",
		"iPhoneから送信", "私のiPhoneから送信", "Windows 版のメールから送信", "Outlook for iOS を入手<https://aka.ms/o0ukef>",
		"发自我的iPhone", "从 Windows 版邮件发送", "获取 Outlook for iOS<https://aka.ms/o0ukef>", "從我的 iPhone 傳送", "取得 iOS 版 Outlook",
	}
}

const answer = "Thank you.\n\nPlease send it to me: by post."

// folded breaks an introduction before the mailbox, as programs do at 76 letters.
func folded(introduction string) string {
	at := strings.Index(introduction, " <")
	if at < 0 {
		at = strings.LastIndex(introduction, " ")
	}
	if at < 0 || strings.HasPrefix(introduction, "-") {
		return introduction
	}
	return introduction[:at] + "\n" + introduction[at+1:]
}

func TestIntroductions(t *testing.T) {
	const marked, unmarked = "> Shall I send it?\n>\n> Ann\n", "Shall I send it?\n\nAnn\n"
	for program, list := range introductions() {
		for _, line := range list {
			for shape, c := range map[string]struct{ text, want string }{
				"above":            {answer + "\n\n" + line + "\n\n" + marked, answer},
				"above, no marks":  {answer + "\n\n" + line + "\n\n" + unmarked, answer},
				"above, no gap":    {answer + "\n" + line + "\n" + marked, answer},
				"folded":           {answer + "\n\n" + folded(line) + "\n\n" + marked, answer},
				"folded, no marks": {answer + "\n\n" + folded(line) + "\n\n" + unmarked, answer},
				"below":            {line + "\n" + marked + "\n" + answer + "\n", answer},
				"between":          {line + "\n> Shall I send it?\n\nYes.\n\n> To whom?\n\nTo me.\n", "Yes.\n\n\nTo me."},
				"quoted too":       {answer + "\n\n> " + line + "\n> \n" + marked, answer},
				"from a telephone": {answer + "\n\nSent from my iPhone\n\n" + line + "\n\n" + marked, answer},
				"signed":           {answer + "\n\n-- \nBen\n+49 1234\n\n" + line + "\n" + marked, answer},
				"CRLF":             {strings.ReplaceAll(answer+"\n\n"+line+"\n"+marked, "\n", "\r\n"), answer},
			} {
				if strings.HasPrefix(line, "-") && (shape == "below" || shape == "between") {
					continue // it has no marks
				}
				if got := Reply(c.text); got != c.want {
					t.Errorf("%s, %s: %q\n%q", program, shape, line, got)
				}
			}
		}
	}
}

func TestHeaders(t *testing.T) {
	for program, list := range headers() {
		for _, header := range list {
			for shape, text := range map[string]string{
				"plain":            answer + "\n\n" + header + "\n\nShall I send it?\n",
				"ruled":            answer + "\n\n________________________________\n" + header + "\n\nShall I send it?\n",
				"from a telephone": answer + "\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n________________________________\n" + header + "\n\nShall I send it?\n",
				"CRLF":             strings.ReplaceAll(answer+"\n\n"+header+"\n\nShall I send it?\n", "\n", "\r\n"),
			} {
				if got := Reply(text); got != answer {
					t.Errorf("%s, %s: %q\n%q", program, shape, header, got)
				}
			}
		}
	}
}

func TestDevices(t *testing.T) {
	for _, device := range devices() {
		if got := Reply(answer + "\n\n" + device + "\n"); got != answer {
			t.Errorf("%q: %q", device, got)
		}
	}
}

// What only looks like a quotation is kept.
func TestKept(t *testing.T) {
	for _, text := range []string{
		"Sent from my desk, is much easier than my telephone.",
		"The notification was sent from my iPhone app to all users.",
		"On the other hand, there is this:\nit is late.",
		"From: the beginning, it was wrong.\nTo: be honest, I do not know.",
		"These come from:\njohn@mail.example\nand to:\nann@mail.example",
		"Here is what he wrote:\nIt is late.",
		"In 2026 she wrote:\nIt is late.",
		"Key points\n----\n1. One\n2. Two\n----\nAs above.",
		"I write because of:\n-- the first point\n-- the second point",
		"Es geht um Folgendes:\nAm Montag um 10:00 schrieb ich Ihnen.",
		"Le montant total à payer est de :\n100 €",
		"以下の通りです：\n1. 注文",
		"如下：\n1. 订单",
		"2026-03-02 10:00:\nthe server failed.",
		"Date: Monday\nSubject: what we spoke of",
		"Get the reports from my desk",
	} {
		if got := Reply(text); got != text {
			t.Errorf("%q: %q", text, got)
		}
	}
}
