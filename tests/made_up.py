"""Texts of no corpus that is shipped: rules that work on the seeds have to work on these, too."""

COMPANY = """
The board of Halvard Marine said on Monday that Ingrid Solberg would become CEO. Ms Solberg said she was ready for it.
Analyst Peter Okafor said the margin was weak, and he expects more of Halvard Marine. The plant in Rotterdam was closed
and the one in Gdansk was sold to Baltic Yards. Revenue at Halvard Marine rose to $4.1 billion, and its debt fell.
"""
PAPER = """
We compare the optimiser ReLoRA with AdaFactor on the GLUE benchmark. The authors trained the model TinyNet on ImageNet
and found that it converges. According to Dr. Chen the ablation was his idea, and Professor Lina Farouk ran it. The
experiments took place in Zurich, and the code of TinyNet is public.
"""
