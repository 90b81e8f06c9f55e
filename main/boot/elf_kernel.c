// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//
// Parses ELF kernels (System V ABI, "Object Files"; Xen's public/elfnote.h for the note). The bytes
// are the user's and may be hostile; nothing is touched but them.
#include "main/boot/elf_kernel.h"

#include "main/boot/boot_layout.h"

#include <errno.h>
#include <string.h>

#define XEN_NOTE_NAME "Xen"
#define XEN_NOTE_PHYS32_ENTRY 18u

static int refuse(struct boot_failure *failure, const char *cause)
{
    return boot_fail(failure, -ENOEXEC, "kernel %s; give a 64-bit Linux kernel for x86", cause);
}

static int truncated(struct boot_failure *failure)
{
    return boot_fail(failure, -ENODATA,
                     "kernel is truncated: parts that its ELF headers name are missing; copy it "
                     "again");
}

bool elf_recognise(const uint8_t *head, size_t length)
{
    return length >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

int elf_parse_header(const uint8_t *head, size_t length, uint64_t file_size, Elf64_Ehdr *header,
                     struct boot_failure *failure)
{
    if (length < sizeof(*header))
        return truncated(failure);
    memcpy(header, head, sizeof(*header));
    if (header->e_ident[EI_CLASS] != ELFCLASS64)
        return refuse(failure, "is a 32-bit ELF file");
    if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64)
        return refuse(failure, "is an ELF file for another kind of machine");
    if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
        return refuse(failure, "is an ELF file, but not a program");
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 ||
        header->e_phnum > ELF_SEGMENTS_MAX)
        return refuse(failure, "is damaged: its program headers make no sense");
    if (header->e_phoff > file_size ||
        header->e_phnum * sizeof(Elf64_Phdr) > file_size - header->e_phoff)
        return truncated(failure);
    return 0;
}

static int check_segment(const Elf64_Phdr *segment, uint64_t file_size, uint64_t *end,
                         struct boot_failure *failure)
{
    if (segment->p_filesz > segment->p_memsz)
        return refuse(failure, "is damaged: a segment has more data than memory");
    if (segment->p_offset > file_size || segment->p_filesz > file_size - segment->p_offset)
        return truncated(failure);
    if (__builtin_add_overflow(segment->p_paddr, segment->p_memsz, end))
        return refuse(failure, "is damaged: a segment wraps around the end of memory");
    if (segment->p_paddr < BOOT_HIGH_MEMORY)
        return refuse(failure, "wants memory below 1 MiB, which is taken");
    if (*end > UINT32_MAX)
        return refuse(failure, "wants memory above 4 GiB, where its 32-bit entry cannot reach");
    return 0;
}

// One with data but without memory is not empty: check_segment refuses it.
static bool is_loaded(const Elf64_Phdr *segment)
{
    return segment->p_type == PT_LOAD && (segment->p_memsz > 0 || segment->p_filesz > 0);
}

// Both have passed check_segment, so that the sums do not wrap.
static bool overlap(const Elf64_Phdr *one, const Elf64_Phdr *other)
{
    return one->p_paddr < other->p_paddr + other->p_memsz &&
           other->p_paddr < one->p_paddr + one->p_memsz;
}

int elf_check_segments(const Elf64_Phdr *segments, unsigned count, uint64_t file_size,
                       uint64_t *end, struct boot_failure *failure)
{
    *end = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t segment_end = 0;
        int error;

        if (!is_loaded(&segments[i]))
            continue;
        error = check_segment(&segments[i], file_size, &segment_end, failure);
        if (error < 0)
            return error;
        for (unsigned j = 0; j < i; j++)
            if (is_loaded(&segments[j]) && overlap(&segments[i], &segments[j]))
                return refuse(failure, "is damaged: two segments overlap");
        if (segment_end > *end)
            *end = segment_end;
    }
    return *end > 0 ? 0 : refuse(failure, "is damaged: it has nothing to load");
}

// Rounds up; false when there is less than that left.
static bool pad(uint64_t size, uint64_t alignment, size_t left, size_t *padded)
{
    uint64_t up = (size + alignment - 1) & ~(alignment - 1);

    *padded = up;
    return up <= left;
}

bool elf_find_pvh_entry(const uint8_t *bytes, size_t length, uint64_t alignment, uint32_t *entry)
{
    Elf64_Nhdr note;

    alignment = alignment == 8 ? 8 : 4;
    while (length >= sizeof(note)) {
        const uint8_t *name = bytes + sizeof(note);
        size_t left = length - sizeof(note);
        size_t name_size;
        size_t size;

        memcpy(&note, bytes, sizeof(note));
        if (!pad(note.n_namesz, alignment, left, &name_size) || note.n_descsz > left - name_size)
            return false;
        if (note.n_type == XEN_NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(XEN_NOTE_NAME) &&
            memcmp(name, XEN_NOTE_NAME, sizeof(XEN_NOTE_NAME)) == 0 &&
            (note.n_descsz == 4 || note.n_descsz == 8)) {
            memcpy(entry, name + name_size, sizeof(*entry));
            return true;
        }
        // The last note's padding may be left out.
        if (!pad(note.n_descsz, alignment, left - name_size, &size))
            return false;
        bytes = name + name_size + size;
        length = left - name_size - size;
    }
    return false;
}
