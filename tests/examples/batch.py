"""Many images at a time: each decoder of the server has its share, and one array takes them all."""

import shmsem

names = [name for name in shmsem.names() if name.endswith(".jpg")]
for image in shmsem.fetch_many(names, scale=2, on_error="return"):
    print(image if isinstance(image, shmsem.Error) else f"{image.name}: {image.shape}")
array = shmsem.fetch_batch([names[0]] * 4, channels=1)
print(array.shape)
