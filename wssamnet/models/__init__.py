"""The networks: U-Net, attention, spatial transformer, WSSAMNet, VoxelMorph; their files; prediction on arrays."""
