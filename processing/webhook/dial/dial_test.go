package dial_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"inreply/processing/webhook/dial"
)

// Where a service may be, with TLS and without.
func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		address        string
		https, without bool
	}{
		{"127.0.0.1", true, true},
		{"::1", true, true},
		{"10.1.2.3", true, true},
		{"172.31.0.1", true, true},
		{"192.168.1.1", true, true},
		{"100.64.0.1", true, true},
		{"fd12:3456::1", true, true},
		{"52.94.236.248", true, false},
		{"2600:1f18::1", true, false},

		{"169.254.169.254", false, false}, // metadata of an instance
		{"169.254.170.2", false, false},   // credentials of an ECS task
		{"169.254.170.23", false, false},  // credentials of an EKS pod
		{"169.254.169.123", false, false},
		{"fd00:ec2::254", false, false},
		{"fd00:ec2::23", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"::169.254.169.254", false, false},
		{"64:ff9b::a9fe:a9fe", false, false},
		{"2002:a9fe:a9fe::", false, false},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"224.0.0.1", false, false},
		{"ff02::1", false, false},
	} {
		for encrypted, want := range map[bool]bool{true: c.https, false: c.without} {
			err := dial.Check(netip.MustParseAddr(c.address), encrypted)
			forbidden, ok := errors.AsType[*dial.ForbiddenError](err)
			if (err == nil) != want || err != nil && (!ok || !forbidden.Permanent()) {
				t.Errorf("%s, encrypted %t: %v", c.address, encrypted, err)
			}
		}
	}
}

// The address is looked at once more when it is connected to, behind all resolution.
func TestNothingIsConnectedThatIsForbidden(t *testing.T) {
	for _, to := range []string{"169.254.169.254:80", "[::ffff:169.254.170.2]:80", "[fd00:ec2::254]:443"} {
		_, err := dial.New(time.Minute, true)(t.Context(), "tcp", to)
		if _, ok := errors.AsType[*dial.ForbiddenError](err); !ok {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// A name is resolved by the system; here localhost stands for one that leads to where
// it must not.
func TestANameIsResolvedBeforeItIsLookedAt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	var looked []netip.Addr
	d := dial.With(time.Minute, func(a netip.Addr) error {
		looked = append(looked, a)
		return &dial.ForbiddenError{Address: a, Why: "forbidden here"}
	})
	_, err = d(t.Context(), "tcp", net.JoinHostPort("localhost", port))
	if _, ok := errors.AsType[*dial.ForbiddenError](err); !ok || len(looked) == 0 || !looked[0].IsLoopback() {
		t.Errorf("%v, looked at %v", err, looked)
	}
}

func TestConnects(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := dial.New(time.Minute, false)(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
}
