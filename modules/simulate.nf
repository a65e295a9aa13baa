// The embedded cohort: real anatomy, simulated tumours, surgery and deformations.
process SIMULATE {
    label 'light'

    input:
    val cases
    val spacing_mm
    val seed
    val package_digest

    output:
    path 'cohort', type: 'dir', emit: cohort
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} simulate --out cohort --cases ${cases} --spacing-mm ${spacing_mm} --seed ${seed}
    """

    stub:
    """
    for number in \$(seq -f %03g ${cases}); do mkdir -p cohort/BraTSReg_\$number; done
    """
}
