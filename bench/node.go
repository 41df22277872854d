package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The peer on Node, and where its program is.
const (
	nodePeer   = "sqs-consumer"
	nodeFolder = "bench/peers/sqs-consumer"
)

// installNode installs what the peers on Node need. Where that cannot be done
// they are left out.
func (b *bench) installNode(ctx context.Context) {
	wanted := false
	for _, peer := range b.peers {
		wanted = wanted || strings.HasPrefix(peer, nodePeer)
	}
	if !wanted {
		return
	}
	if _, err := os.Stat(nodeFolder + "/node_modules/" + nodePeer); err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock")
	install.Dir = nodeFolder
	output, err := install.CombinedOutput()
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "sqs-consumer is left out, it could not be installed: %v\n%s", err, output)
	var others []string
	for _, peer := range b.peers {
		if !strings.HasPrefix(peer, nodePeer) {
			others = append(others, peer)
		}
	}
	b.peers = others
}
