# What the images of assets/images are, by other decoders than ours. In that folder.

# The CRC-32 of standard input as eight hexadecimal digits.
crc() {
	gzip -1 -c | tail -c 8 | head -c 4 | od -An -tu4 | xargs printf '%08x'
}

# bare BYTES -- the last BYTES of standard input, which are the pixels of a PNM file.
bare() {
	tail -c "$1"
}

# answer_of NAME -- name, width, height, channels, bytes and checksum; zeros for what is not there.
answer_of() {
	case "$1" in
	apple) echo "apple 640 960 3 1843200 $(djpeg apple.jpg | bare 1843200 | crc)" ;;
	car.jpg) echo "car.jpg 2560 1707 3 13109760 $(djpeg car.jpg | bare 13109760 | crc)" ;;
	ball) echo "ball 800 800 4 2560000 $(pngtopam -alphapam ball.png | bare 2560000 | crc)" ;;
	dog.png) echo "dog.png 640 427 3 819840 $(pngtopam dog.png | bare 819840 | crc)" ;;
	*) echo "$1 0 0 0 0 00000000" ;;
	esac
}
