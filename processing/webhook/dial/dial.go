// Package dial connects to application services, and to nothing that an application
// service never is.
//
// A service may have a private address, for that is where services live in a VPC.
// The addresses at which AWS hands out credentials are link-local, and no service
// lives there; nor does a service without TLS at a public address. What a name
// resolves to is looked at when it is connected to, behind all resolution: a name
// that led elsewhere a moment ago (DNS rebinding) gets nobody in.
package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Func connects to host:port.
type Func func(ctx context.Context, network, address string) (net.Conn, error)

// ForbiddenError is the error of an address that no application service has.
type ForbiddenError struct {
	Address netip.Addr
	Why     string
}

func (e *ForbiddenError) Error() string { return fmt.Sprintf("%s is %s", e.Address, e.Why) }

// Permanent reports that the settings must change, or somebody else's DNS.
func (e *ForbiddenError) Permanent() bool { return true }

// New returns a Func that gives up after timeout. Without encryption it connects to
// loopback and private addresses only.
func New(timeout time.Duration, encrypted bool) Func {
	return With(timeout, func(a netip.Addr) error { return Check(a, encrypted) })
}

// With returns a Func that has every address checked before it connects.
func With(timeout time.Duration, check func(netip.Addr) error) Func {
	d := net.Dialer{
		Timeout: timeout, KeepAlive: 30 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("read the address: %w", err)
			}
			return check(to.Addr())
		},
	}
	return d.DialContext
}

// Check says whether an application service may have this address. The error is a
// *ForbiddenError.
func Check(address netip.Addr, encrypted bool) error {
	a := inner(address.Unmap().WithZone(""))
	// AWS has services of its own in here: the metadata of the instance at ::254, the
	// credentials of a pod at ::23, time and DNS.
	awsLocal := netip.MustParsePrefix("fd00:ec2::/32")
	// The address space of carriers (RFC 6598), which VPCs use as a private one.
	shared := netip.MustParsePrefix("100.64.0.0/10")
	switch {
	case a.IsLinkLocalUnicast():
		return &ForbiddenError{address, "link-local, where AWS hands out credentials (169.254.169.254, 169.254.170.2), and no application service"}
	case awsLocal.Contains(a):
		return &ForbiddenError{address, "where AWS hands out credentials (fd00:ec2::254), and no application service"}
	case a.IsUnspecified() || a.IsMulticast():
		return &ForbiddenError{address, "no address of a host"}
	case !encrypted && !a.IsLoopback() && !a.IsPrivate() && !shared.Contains(a):
		return &ForbiddenError{address, "a public address, and the url is http: mails are sent there encrypted or not at all"}
	}
	return nil
}

// inner is the IPv4 address that an IPv6 address stands for, or the address itself.
func inner(a netip.Addr) netip.Addr {
	b := a.As16()
	// The networks in which IPv6 carries IPv4 addresses: NAT64 (RFC 6052), which a VPC
	// has too, and 6to4 (RFC 3056).
	nat64, sixToFour := netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16")
	switch {
	case !a.Is6():
		return a
	case nat64.Contains(a), isCompatible(b):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

// isCompatible reports whether an address is ::a.b.c.d (RFC 4291, section 2.5.5.1,
// deprecated, and still an address of a host to some).
func isCompatible(b [16]byte) bool {
	return [12]byte(b[:12]) == [12]byte{} && (b[12] != 0 || b[13] != 0)
}
