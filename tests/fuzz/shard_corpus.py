"""Makes the corpus of fuzz_shard: shard_corpus.py FOLDER. Tar files of each format, and what may be wrong with them, behind a zero
byte; indexes behind a byte of one."""
import io
import os
import struct
import sys
import tarfile

LONG = 'deep/' * 20 + 'x' * 90 + '.png'


def shard(format, *members):
    """Members are names, or TarInfo."""
    bytes_ = io.BytesIO()
    with tarfile.open(fileobj=bytes_, mode='w', format=format) as tar:
        for member in members:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
                member.size = len(member.name)
            tar.addfile(member, io.BytesIO(member.name.encode()))
    return bytes_.getvalue().rstrip(b'\0') + bytes(512)


def special(name, type_, **more):
    member = tarfile.TarInfo(name)
    member.type = type_
    for key, value in more.items():
        setattr(member, key, value)
    return member


def header(size=b'00000000004', type_=b'0', name=b'a/0001.png', rest=b''):
    block = bytearray(name.ljust(100, b'\0') + b'0000644\0' * 3 + size.ljust(12, b'\0')[:12] + b'0' * 12 + b' ' * 8 + type_).ljust(512, b'\0')
    block[257:257 + 8] = b'ustar\x0000'
    block[345:345 + len(rest)] = rest
    block[148:156] = b'%06o\0 ' % sum(block)
    return bytes(block)


def pax(text):
    return header(b'%011o' % len(text), b'x', b'pax') + text.ljust(-(-len(text) // 512) * 512, b'\0')


def index(*entries, names=b'a/0001.png\0b\0', magic=0x3178646e69726174, size=4096, fault=b'', images=(0,)):
    rows = b''.join(struct.pack('<QQIHH', *entry) for entry in entries) + b''.join(struct.pack('<I', image) for image in images)
    return b'\1' + struct.pack('<QQQQQ192s', magic, len(entries), len(images), len(names), size, fault) + rows + names


plain = ('a/0001.png', './a/0002.png', 'b')
tars = {
    'ustar': shard(tarfile.USTAR_FORMAT, *plain, LONG),
    'pax': shard(tarfile.PAX_FORMAT, *plain, LONG, 'hündchen.png', special('large', tarfile.REGTYPE, pax_headers={'size': '5'})),
    'gnu': shard(tarfile.GNU_FORMAT, *plain, LONG),
    'others': shard(tarfile.PAX_FORMAT, special('d', tarfile.DIRTYPE), special('l', tarfile.SYMTYPE, linkname='b'),
                    special('h', tarfile.LNKTYPE, linkname='b'), special('c', tarfile.CHRTYPE), *plain),
    'twice': shard(tarfile.USTAR_FORMAT, 'b', 'a', 'b', 'a', 'b'),
    'unsorted': shard(tarfile.USTAR_FORMAT, 'c', 'b', 'a'),
    'hidden': shard(tarfile.USTAR_FORMAT, '../a', 'a/../b', '/c', 'a//b', './', 'ok'),
    'truncated': shard(tarfile.USTAR_FORMAT, *plain)[:1200],
    'size-beyond': header(b'77777777777') + bytes(512),
    'size-binary': header(b'\x80' + bytes(10) + b'\4') + bytes(512),
    'size-negative': header(b'\xff' * 12) + bytes(512),
    'size-no-number': header(b'4x') + bytes(512),
    'checksum': header().replace(b'ustar', b'usual') + bytes(512),
    'prefix': header(rest=b'p' * 155) + bytes(512),
    'pax-size': pax(b'28 size=9223372036854775807\n') + header() + bytes(512),
    'pax-length': pax(b'99999 path=x\n') + header() + bytes(512),
    'pax-no-value': pax(b'7 path\n') + header() + bytes(512),
    'pax-again': pax(b'10 path=x\n') * 4 + header() + bytes(512),
    'pax-sparse': pax(b'22 GNU.sparse.major=1\n25 GNU.sparse.name=s.png\n') + header() + bytes(512),
    'long-name-alone': header(b'00000000004', b'L') + b'name'.ljust(512, b'\0'),
    'sparse': header(b'0', b'S', rest=bytes(137) + b'\1') + bytes(504) + b'\1' + bytes(7) + bytes(512) + header() + bytes(512),
    'gzip': b'\x1f\x8b\x08'.ljust(512, b'\0'),
    'empty': b'',
}
indexes = {
    'index': index((512, 10, 0, 10, 0), (1536, 1, 11, 1, 0)),
    'index-kinds': index((512, 10, 0, 10, 4), (1536, 1, 11, 1, 77), fault=b'at byte 9 it ends'),
    'index-offset': index((4097, 0, 0, 10, 0), (1, 4096, 11, 1, 0)),
    'index-name': index((0, 0, 12, 5, 0), (0, 0, 0xffffffff, 1, 0), (0, 0, 0, 9, 0)),
    'index-unsorted': index((512, 1, 11, 1, 0), (512, 10, 0, 10, 0)),
    'index-no-end': index((512, 1, 0, 1, 0), names=b'a'),
    'index-magic': index(magic=1),
    'index-fault': index(fault=b'x' * 192),
    'index-images': index((512, 10, 0, 10, 0), (1536, 1, 11, 1, 0), images=(1, 7)),
    'index-images-many': index(images=(0, 0, 0)),
    'index-cut': index((512, 10, 0, 10, 0))[:240],
}

if __name__ == '__main__':
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in list(tars.items()) + list(indexes.items()):
        with open(os.path.join(sys.argv[1], name), 'wb') as file:
            file.write(data if name in indexes else b'\0' + data)
