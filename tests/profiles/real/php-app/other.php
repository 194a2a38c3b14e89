<?php echo "other=yes\n";
