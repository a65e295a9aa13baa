// The paper's table, one column a method, and the tables behind it; with variants, a table of them too.
process TABULATE {
    label 'light'

    input:
    path evaluations, stageAs: 'evaluation?/*'
    val variants // which evaluations are of variants, as CSV; may be empty
    val options
    val package_digest

    output:
    path 'tables', type: 'dir', emit: tables
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    def list = variants ? "cat > variants.csv <<'END_OF_VARIANTS'\n${variants}\nEND_OF_VARIANTS" : ''
    """
    ${list}
    wssamnet --threads ${task.cpus} tables evaluation*/* --out tables ${variants ? '--variants variants.csv' : ''} ${options}
    """

    stub:
    def list = variants ? "cat > tables/ablations.csv <<'END_OF_VARIANTS'\n${variants}\nEND_OF_VARIANTS" : ''
    """
    mkdir tables
    echo stub > tables/table1.md
    ${list}
    """
}
