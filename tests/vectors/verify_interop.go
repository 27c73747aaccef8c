// Checks interop-v1.json with golang.org/x/mod/sumdb/note and golang.org/x/mod/sumdb/tlog, and none of Verso.
// Prints how many notes and proofs were accepted, and how many altered ones were refused; fails otherwise.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type vector struct {
	VerifierKeys []string `json:"verifier_keys"`
	Leaves       []string `json:"leaves"`
	Checkpoints  []struct {
		TreeSize int64  `json:"tree_size"`
		RootHash string `json:"root_hash"`
		SignedBy []int  `json:"signed_by"`
		Note     string `json:"note"`
	} `json:"checkpoints"`
	Inclusion []struct {
		LeafIndex int64    `json:"leaf_index"`
		TreeSize  int64    `json:"tree_size"`
		Proof     []string `json:"proof"`
	} `json:"inclusion"`
	Consistency []struct {
		OldSize int64    `json:"old_size"`
		NewSize int64    `json:"new_size"`
		Proof   []string `json:"proof"`
	} `json:"consistency"`
}

type count struct {
	Accepted int `json:"accepted"`
	Refused  int `json:"refused"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func expect(holds bool, what string, arguments ...interface{}) {
	if !holds {
		must(fmt.Errorf(what, arguments...))
	}
}

func hash(text string) (h tlog.Hash) {
	data, err := hex.DecodeString(text)
	must(err)
	copy(h[:], data)
	return h
}

func hashes(texts []string) []tlog.Hash {
	var found []tlog.Hash
	for _, text := range texts {
		found = append(found, hash(text))
	}
	return found
}

// flipped gives each proof that differs from this one in one bit of one hash.
func flipped(proof []tlog.Hash) [][]tlog.Hash {
	var found [][]tlog.Hash
	for place := range proof {
		altered := append([]tlog.Hash(nil), proof...)
		altered[place][place%32] ^= 1 << (place % 8)
		found = append(found, altered)
	}
	return found
}

func main() {
	data, err := os.ReadFile(os.Args[1])
	must(err)
	var v vector
	must(json.Unmarshal(data, &v))
	var notes, inclusion, consistency count
	roots := map[int64]tlog.Hash{}

	var keys []note.Verifier
	for _, text := range v.VerifierKeys {
		key, err := note.NewVerifier(text)
		must(err)
		keys = append(keys, key)
	}
	for _, c := range v.Checkpoints {
		for number, key := range keys {
			signed := false
			for _, signer := range c.SignedBy {
				signed = signed || signer == number
			}
			opened, err := note.Open([]byte(c.Note), note.VerifierList(key))
			expect((err == nil) == signed, "key %d, size %d: %v", number, c.TreeSize, err)
			if !signed {
				notes.Refused++
				continue
			}
			lines := strings.Split(opened.Text, "\n")
			root := hash(c.RootHash)
			expect(lines[1] == fmt.Sprint(c.TreeSize), "the size of %q", opened.Text)
			expect(lines[2] == base64.StdEncoding.EncodeToString(root[:]), "the root of %q", opened.Text)
			notes.Accepted++
			altered := strings.Replace(c.Note, lines[1]+"\n", lines[1]+"0\n", 1)
			_, err = note.Open([]byte(altered), note.VerifierList(key))
			expect(err != nil, "an altered note of size %d was accepted", c.TreeSize)
			notes.Refused++
		}
		roots[c.TreeSize] = hash(c.RootHash)
	}
	for _, p := range v.Inclusion {
		leaf, err := base64.StdEncoding.DecodeString(v.Leaves[p.LeafIndex])
		must(err)
		proof, record := hashes(p.Proof), tlog.RecordHash(leaf)
		must(tlog.CheckRecord(proof, p.TreeSize, roots[p.TreeSize], p.LeafIndex, record))
		inclusion.Accepted++
		leaf[len(leaf)/2] ^= 1
		err = tlog.CheckRecord(proof, p.TreeSize, roots[p.TreeSize], p.LeafIndex, tlog.RecordHash(leaf))
		expect(err != nil, "an altered leaf %d was accepted", p.LeafIndex)
		inclusion.Refused++
		for _, altered := range flipped(proof) {
			err = tlog.CheckRecord(altered, p.TreeSize, roots[p.TreeSize], p.LeafIndex, record)
			expect(err != nil, "an altered proof of leaf %d was accepted", p.LeafIndex)
			inclusion.Refused++
		}
	}
	for _, p := range v.Consistency {
		proof := hashes(p.Proof)
		must(tlog.CheckTree(proof, p.NewSize, roots[p.NewSize], p.OldSize, roots[p.OldSize]))
		consistency.Accepted++
		for _, altered := range flipped(proof) {
			err := tlog.CheckTree(altered, p.NewSize, roots[p.NewSize], p.OldSize, roots[p.OldSize])
			expect(err != nil, "an altered proof from %d to %d was accepted", p.OldSize, p.NewSize)
			consistency.Refused++
		}
	}
	answer, err := json.Marshal(map[string]count{
		"checkpoints": notes, "inclusion": inclusion, "consistency": consistency,
	})
	must(err)
	fmt.Println(string(answer))
}
